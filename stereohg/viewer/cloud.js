// The point cloud: every pixel as a splat that is as large as the pixel is at its depth.

const MOST_POINTS = 1.5e6; // of a larger picture every second, third, ... row and column

const SPLAT = {
  vertexShader: `
    attribute vec3 colour;
    attribute float confidence;
    uniform float size, surest, farthest;
    varying vec3 shade;
    void main() {
      vec4 seen = modelViewMatrix * vec4(position, 1.0);
      gl_Position = projectionMatrix * seen;
      gl_PointSize = max(1.0, size * position.z / seen.z);
      if (confidence < surest || -position.z > farthest) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
      shade = colour;
    }`,
  fragmentShader: `
    varying vec3 shade;
    void main() { gl_FragColor = vec4(shade, 1.0); }`,
};

/**
 * Draws into `canvas`. `at(i)` is the point [x, y, z] of pixel i (x right, y up, z backward), or null where it is
 * unknown; `colours` the picture's RGBA bytes; `confidence` of each pixel, or undefined.
 */
function makeCloud(canvas, scene, at, colours, confidence) {
  const { width, height } = scene;
  const step = Math.ceil(Math.sqrt((width * height) / MOST_POINTS));
  const positions = [], shades = [], sureness = [], depths = [];
  for (let y = 0; y < height; y += step) {
    for (let x = 0; x < width; x += step) {
      const i = y * width + x, point = at(i);
      if (!point) continue;
      positions.push(...point);
      shades.push(colours[4 * i], colours[4 * i + 1], colours[4 * i + 2]);
      sureness.push(confidence ? confidence[i] : 1);
      depths.push(-point[2]);
    }
  }
  depths.sort((a, b) => a - b);
  const depthAt = (share) => depths[Math.floor(share * (depths.length - 1))] ?? 1;
  const middle = depthAt(0.4);

  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(positions), 3));
  geometry.setAttribute("colour", new THREE.BufferAttribute(new Uint8Array(shades), 3, true));
  geometry.setAttribute("confidence", new THREE.BufferAttribute(new Float32Array(sureness), 1));
  const uniforms = { size: { value: 1 }, surest: { value: 0 }, farthest: { value: Infinity } };
  const cloud = new THREE.Points(geometry, new THREE.ShaderMaterial({ ...SPLAT, uniforms }));
  cloud.frustumCulled = false;

  const pin = new THREE.BufferGeometry().setAttribute("position", new THREE.BufferAttribute(new Float32Array(3), 3));
  const look = { size: 11, sizeAttenuation: false, color: 0xff2d8d, depthTest: false };
  const marker = new THREE.Points(pin, new THREE.PointsMaterial(look));
  marker.frustumCulled = marker.visible = false;
  const world = new THREE.Scene().add(cloud, marker);

  const view = (360 / Math.PI) * Math.atan(height / 2 / scene.focal_y);
  const camera = new THREE.PerspectiveCamera(view, width / height, middle / 1000, middle * 1000);
  const renderer = new THREE.WebGLRenderer({ canvas, alpha: true });
  const controls = new THREE.OrbitControls(camera, canvas);
  controls.listenToKeyEvents(canvas);
  controls.maxDistance = 50 * middle;

  let waiting = false;
  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      renderer.render(world, camera);
    });
  }
  controls.addEventListener("change", draw);

  function reset() {
    camera.position.set(0.18 * middle, 0.1 * middle, 0.25 * middle);
    controls.target.set(0, 0, -middle);
    controls.update();
    draw();
  }
  reset();

  new ResizeObserver(() => {
    const box = canvas.parentElement.getBoundingClientRect();
    renderer.setPixelRatio(devicePixelRatio);
    renderer.setSize(box.width, box.height, false);
    uniforms.size.value = (1.25 * step * box.height * devicePixelRatio) / height;
    draw();
  }).observe(canvas.parentElement);

  return {
    depthAt,
    reset,
    /** Shows only what is at least as sure and at most as far. */
    limit(surest, farthest) {
      uniforms.surest.value = surest;
      uniforms.farthest.value = farthest;
      draw();
    },
    /** Marks a point; null marks none. */
    mark(point) {
      marker.visible = Boolean(point);
      if (point) {
        pin.attributes.position.array.set(point);
        pin.attributes.position.needsUpdate = true;
      }
      draw();
    },
  };
}
