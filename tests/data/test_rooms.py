"""The perspective scenes: geometry that can be checked by hand, both views of the same description."""

import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from stereohg.data.registry import create_dataset
from stereohg.data.synthetic import KeptScenes, SyntheticMix, SyntheticRooms, SyntheticStereo
from stereohg.data.synthetic.camera import Atlas, StereoCamera
from stereohg.data.synthetic.prerender import AT_ONCE, prerender
from stereohg.data.synthetic.primitives import (
    BOX,
    CARD,
    CYLINDER,
    ELLIPSOID,
    ROOM,
    Primitives,
    Rays,
    first_met,
    met_at_once,
)
from stereohg.data.synthetic.rooms import KINDS, Builder, load_atlas, stack
from tests.data.test_synthetic import warped_right

ROOMS = SyntheticRooms(height=96, width=192, max_disp=60, asymmetry=0)


def one(kind: int, centre, size, axes=None) -> Primitives:
    """A scene of one primitive in white."""
    one = torch.ones(1, 1)
    return Primitives(
        kinds=(kind,),
        axes=torch.eye(3)[None, None] if axes is None else torch.tensor(axes)[None, None],
        centre=torch.tensor([[centre]]),
        size=torch.tensor([[size]]),
        tile=one.long() * 0,
        mask=one.long() * 0,
        density=one,
        turn=0 * one,
        gain=torch.zeros(1, 1, 3),
        bias=torch.full((1, 1, 3), 200.0),
        gloss=0 * one,
        lamp=torch.tensor([[0.0, 0.0, -1e9]]),
        ambient=torch.ones(1),
    )


def ahead(eye: float = 0.0) -> Rays:
    """Nine by nine rays around the one straight ahead, a tenth apart."""
    steps = torch.arange(-4, 5) / 10
    return Rays(eye, steps[None, None], steps[None, :, None])


WHOLE = torch.ones(1, 4, 4, dtype=torch.bool)


@pytest.mark.parametrize(
    "kind, size, expected",
    [
        (BOX, [1.0, 1.0, 2.0], 8.0),  # the front face
        (ELLIPSOID, [1.0, 1.0, 3.0], 7.0),
        (CYLINDER, [2.0, 1.0, 2.0], 8.0),
        (CARD, [1.0, 1.0, 0.01], 10.0),
        (ROOM, [20.0, 20.0, 20.0], 30.0),  # the far wall
    ],
)
def test_straight_ahead(kind, size, expected):
    depth, slot = first_met(one(kind, [0.0, 0.0, 10.0], size), ahead(), WHOLE)
    assert depth[0, 4, 4].item() == pytest.approx(expected, rel=1e-5) and slot[0, 4, 4] == 0
    if kind != ROOM:
        assert depth[0, 0, 0] == torch.inf  # at 10 baselines the corner ray is 4 beside


def test_the_right_camera_stands_one_baseline_aside():
    """A pole at x = 1 is straight ahead of the right camera, and 0.1 to the right of the left one's middle."""
    pole = one(BOX, [1.0, 0.0, 10.0], [0.1, 1.0, 0.1])
    left, _ = first_met(pole, ahead(), WHOLE)
    right, _ = first_met(pole, ahead(1.0), WHOLE)
    assert left[0, 4].isfinite().nonzero().flatten().tolist() == [5]
    assert right[0, 4].isfinite().nonzero().flatten().tolist() == [4]


def test_masks_cut_cards_out():
    left_half = torch.tensor([[[True, True, False, False]] * 4])
    depth, _ = first_met(one(CARD, [0.0, 0.0, 10.0], [3.5, 3.5, 0.01]), ahead(), left_half)
    assert depth[0, 4].isfinite().tolist() == [False, True, True, True, False, False, False, False, False]


def test_disparity_is_focal_length_over_depth():
    camera = StereoCamera(5, 9, torch.tensor([40.0]), torch.zeros(1))
    atlas = Atlas(torch.zeros(1, 8, 8, 3, dtype=torch.uint8), WHOLE)
    colours, disparity = camera.view(one(ROOM, [0.0, 0.0, 0.0], [50.0, 50.0, 16.0]), atlas, is_right=False)
    assert disparity[0, 2, 4].item() == pytest.approx(40 / 16)
    assert colours[0, 2, 4].tolist() == [200, 200, 200]  # lit from behind the camera


def test_a_lamp_is_brightest_where_it_hangs():
    """A wall 16 away, and a lamp 12 before it: what falls at 45 degrees, 12 beside, gives cos 45 of the light."""
    camera = StereoCamera(5, 65, torch.tensor([40.0]), torch.zeros(1))
    atlas = Atlas(torch.zeros(1, 8, 8, 3, dtype=torch.uint8), WHOLE)
    lamp, none = torch.tensor([[0.0, 0.0, 4.0]]), torch.zeros(1)
    wall = replace(one(ROOM, [0.0, 0.0, 0.0], [50.0, 50.0, 16.0]), lamp=lamp, ambient=none)
    colours, _ = camera.view(wall, atlas, is_right=False)
    assert colours[0, 2, [2, 32, 62], 0].tolist() == pytest.approx([200 * 0.5**0.5, 200, 200 * 0.5**0.5], rel=0.01)


@pytest.mark.parametrize("index", range(4))
def test_windows_leave_nothing_out(index):
    """What is met does not depend on where its pixels were looked for."""
    scenes = stack([Builder(np.random.default_rng(index), 48, 96, 30).build()])
    masks = load_atlas().masks
    rays = Rays(0.0, torch.linspace(-0.5, 0.5, 96)[None, None], torch.linspace(-0.3, 0.3, 48)[None, :, None])
    depth, slot = first_met(scenes, rays, masks)
    parts = [first_met(scenes, rays.window(slice(y, y + 16), slice(0, 96)), masks) for y in (0, 16, 32)]
    torch.testing.assert_close(torch.cat([part[0] for part in parts], 1), depth)
    assert torch.equal(torch.cat([part[1] for part in parts], 1), slot)
    assert depth.isfinite().all()  # a room has no holes


def test_a_gpu_meets_the_same():
    """What it compiles, of two scenes, beside the windows of the CPU."""
    scenes = stack([Builder(np.random.default_rng(seed), 48, 96, 30).build() for seed in (1, 2)])
    columns, rows = torch.linspace(-0.5, 0.5, 96), torch.linspace(-0.3, 0.3, 48)
    rays = Rays(torch.tensor(1.0), columns.expand(2, 1, 96), rows[None, :, None].expand(2, 48, 1))
    depth, slot = first_met(scenes, rays, load_atlas().masks)
    at_once = met_at_once(scenes, rays, load_atlas().masks)
    assert torch.equal(at_once[0], depth) and torch.equal(at_once[1], slot)
    assert len(slot.unique()) > 5


def test_scenes_rendered_ahead_are_those_of_later(tmp_path):
    """More than a device renders at once, every third a pile of surfaces, and one that is there already."""
    mixed = SyntheticMix(48, 96, max_disp=30)
    kept, length = KeptScenes(mixed, tmp_path), 3 * AT_ONCE // 2 + 3
    kept.keep(0, mixed[1])
    prerender(kept, length, "cpu", processes=1)
    assert all(kept.path(index).exists() for index in range(length))
    assert np.array_equal(kept[0].left, mixed[1].left)
    for index in (1, 2, length - 1):
        for field in fields(mixed[index]):
            np.testing.assert_allclose(getattr(kept[index], field.name), getattr(mixed[index], field.name), atol=1e-3)


def test_a_script_that_other_processes_cannot_read_is_told(tmp_path):
    """It comes through a pipe, and there is no file of it."""
    options = dict(length=1, height=48, width=96, max_disp=30, scenes="rooms", keep=str(tmp_path), device="cpu")
    script = f"from stereohg.data.registry import create_dataset; create_dataset('synthetic', **{options})"
    done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True, timeout=100)
    assert done.returncode == 1 and "a script renders on a device that is no file" in done.stderr


def test_a_device_renders_rooms_into_a_folder(tmp_path):
    small = dict(length=2, height=48, width=96, max_disp=30)
    for options in (dict(scenes="rooms"), dict(keep=tmp_path), dict(scenes="layers", keep=tmp_path)):
        with pytest.raises(ValueError, match="device is 'cpu'; it renders scenes=rooms or mixed, and needs a folder"):
            create_dataset("synthetic", device="cpu", **small, **options)
    with pytest.raises(ValueError, match="device is 'cuda:7', which is not here"):
        create_dataset("synthetic", device="cuda:7", scenes="rooms", keep=tmp_path, **small)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/x"):
        create_dataset("synthetic", device="cpu", scenes="rooms", keep=tmp_path / "file" / "x", **small)


def test_scenes_of_a_batch_do_not_meet():
    masks = load_atlas().masks
    built = [Builder(np.random.default_rng(seed), 32, 64, 30).build() for seed in (1, 2)]
    steps = (
        torch.linspace(-0.5, 0.5, 64).expand(2, 1, 64),
        torch.linspace(-0.3, 0.3, 32)[None, :, None].expand(2, 32, 1),
    )
    depth, _ = first_met(stack(built), Rays(0.0, *steps), masks)
    for i in (0, 1):
        alone, _ = first_met(stack(built[i : i + 1]), Rays(0.0, *(s[:1] for s in steps)), masks)
        torch.testing.assert_close(depth[i : i + 1], alone)


@pytest.mark.parametrize("index", range(4))
def test_visible_pixels_are_equal_in_both_views(index):
    scene = ROOMS[index]
    seen = ~scene.occluded
    difference = np.abs(warped_right(scene) - scene.left).mean(-1)[seen]
    moved = replace(scene, disparity=scene.disparity + np.float32(0.5))
    assert np.median(difference) < 3 and np.mean(difference > 24) < 0.06  # samples differ at edges, highlights move
    assert difference.mean() < 0.9 * np.abs(warped_right(moved) - scene.left).mean(-1)[seen].mean()


def test_index_and_seed_alone_decide_a_scene():
    again = SyntheticRooms(height=96, width=192, max_disp=60, asymmetry=0)
    for field in fields(ROOMS[3]):
        assert np.array_equal(getattr(ROOMS[3], field.name), getattr(again[3], field.name))
    assert not np.array_equal(ROOMS[3].disparity, ROOMS[4].disparity)
    assert not np.array_equal(ROOMS[3].disparity, replace(ROOMS, seed=1)[3].disparity)


def test_hardly_anything_is_nearer_than_the_range():
    shares = [(ROOMS[index].disparity > 60).mean() for index in range(8)]
    assert np.mean(shares) < 0.02
    assert all((ROOMS[index].disparity > 0).all() for index in range(3))


def test_slots_are_filled_from_the_front():
    built = Builder(np.random.default_rng(1), 64, 128, 30).build()
    assert built["centre"].shape == (len(KINDS), 3)
    assert (built["centre"][1:, 2] > 0).any() and (built["centre"][-1, 2] < -900)


def test_two_rooms_then_a_pile():
    mixed, options = SyntheticMix(48, 96, max_disp=30), dict(height=48, width=96, max_disp=30)
    for index, source in ((0, SyntheticRooms), (1, SyntheticRooms), (2, SyntheticStereo), (5, SyntheticStereo)):
        assert np.array_equal(mixed[index].disparity, source(**options)[index].disparity)


def test_scenes_without_room_or_range_are_refused():
    for size in ({"height": 16}, {"width": 16}, {"max_disp": 10}):
        with pytest.raises(ValueError, match="rooms of .* cannot be drawn; give at least 24x24, and max_disp above 10"):
            create_dataset("synthetic", scenes="rooms", **size)
    scenes = create_dataset("synthetic", scenes="rooms", height=24, width=24, max_disp=11)
    assert all(scenes.read(index).disparity.shape == (24, 24) for index in range(6))


def test_scenes_by_name():
    pairs = create_dataset("synthetic", length=3, height=48, width=96, max_disp=30, scenes="rooms")
    assert np.array_equal(pairs.read(1).left, SyntheticRooms(48, 96, max_disp=30)[1].left)
    with pytest.raises(ValueError, match="scenes is 'towns'; it must be layers, rooms, mixed"):
        create_dataset("synthetic", scenes="towns")
