// The maps: which one lies over the left picture, how far, and what the values under the mark are.

const scene = JSON.parse(document.getElementById("scene").textContent);
const { width, height } = scene;
const element = (id) => document.getElementById(id);
const stage = element("stage"), split = element("split"), mark = element("mark");

/** Float32Array out of base64 of deflated byte planes; see _packed in page.py. */
async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = planes.length / 4, bytes = new Uint8Array(planes.length);
  for (let i = 0; i < count; i++) for (let byte = 0; byte < 4; byte++) bytes[4 * i + byte] = planes[byte * count + i];
  return new Float32Array(bytes.buffer);
}

const maps = {};
for (const [name, text] of Object.entries(scene.maps)) maps[name] = await unpack(text);

// --- slider and choice ---

split.addEventListener("input", () => stage.style.setProperty("--split", `${split.value}%`));

function choose() {
  const name = document.querySelector("[name=layer]:checked").value;
  for (const own of document.querySelectorAll("[data-layer]")) own.classList.toggle("shown", own.dataset.layer === name);
}
document.querySelectorAll("[name=layer]").forEach((radio) => radio.addEventListener("change", choose));
choose();

// --- values under the mark ---

const UNKNOWN = "not valid";
const shown = (value, unit = "") => (Number.isFinite(value) ? value.toFixed(2) + unit : UNKNOWN);

/** Metres, or baselines where there is no baseline; NaN where it is unknown. */
function depthOf(i) {
  const total = maps.disparity[i] + scene.doffs;
  return total > 0 ? (scene.focal * (scene.baseline ?? 1)) / total : NaN;
}

function pointOf(i) {
  const z = depthOf(i), x = i % width, y = Math.floor(i / width);
  if (!Number.isFinite(z)) return null;
  return [((x - scene.centre[0]) * z) / scene.focal, ((scene.centre[1] - y) * z) / scene.focal_y, -z];
}

let cloud = null;
const place = { x: Math.floor(width / 2), y: Math.floor(height / 2) };

function moveTo(x, y) {
  place.x = Math.min(Math.max(x, 0), width - 1);
  place.y = Math.min(Math.max(y, 0), height - 1);
  const i = place.y * width + place.x;
  mark.hidden = false;
  mark.style.left = `${(100 * (place.x + 0.5)) / width}%`;
  mark.style.top = `${(100 * (place.y + 0.5)) / height}%`;
  const texts = { at: `${place.x}, ${place.y}`, disparity: shown(maps.disparity[i], " px") };
  if (scene.baseline) texts.depth = shown(depthOf(i), " m");
  if (maps.confidence) texts.confidence = shown(maps.confidence[i]);
  if (maps.truth) {
    texts.truth = shown(maps.truth[i], " px");
    texts.error = shown(Math.abs(maps.disparity[i] - maps.truth[i]), " px");
  }
  for (const [id, text] of Object.entries(texts)) element(id).textContent = text;
  cloud?.mark(pointOf(i));
}

function follow(event) {
  const box = stage.getBoundingClientRect();
  moveTo(
    Math.floor(((event.clientX - box.left) / box.width) * width),
    Math.floor(((event.clientY - box.top) / box.height) * height),
  );
}
stage.addEventListener("pointermove", follow);
stage.addEventListener("pointerdown", follow);

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
stage.addEventListener("keydown", (event) => {
  const arrow = ARROWS[event.key];
  if (!arrow || event.target !== stage) return;
  event.preventDefault();
  const pixels = event.shiftKey ? 10 : 1;
  moveTo(place.x + pixels * arrow[0], place.y + pixels * arrow[1]);
});

// --- points ---

const picture = element("left");
await picture.decode();
const paper = new OffscreenCanvas(width, height).getContext("2d");
paper.drawImage(picture, 0, 0);
const colours = paper.getImageData(0, 0, width, height).data;
try {
  cloud = makeCloud(element("cloud"), scene, pointOf, colours, maps.confidence);
  const surest = element("surest"), farthest = element("farthest");
  const limit = () => {
    const far = cloud.depthAt(0.1) * (1.05 * cloud.depthAt(1) / cloud.depthAt(0.1)) ** farthest.value;
    if (surest) surest.nextElementSibling.textContent = Number(surest.value).toFixed(2);
    farthest.nextElementSibling.textContent = scene.baseline ? `${far.toFixed(2)} m` : `${far.toFixed(1)} baselines`;
    cloud.limit(surest ? Number(surest.value) : 0, far);
  };
  surest?.addEventListener("input", limit);
  farthest.addEventListener("input", limit);
  limit();
  element("reset").addEventListener("click", cloud.reset);
} catch (error) {
  element("space").textContent = `The point cloud needs WebGL: ${error.message}`;
}
document.documentElement.dataset.ready = "";
