"""From a picture to keypoints in it, by a network whose answer is known: it finds dots by their colour."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import stereohg
from stereohg.cli import main
from stereohg.data.people.coco import MEAN as COCO_MEAN
from stereohg.data.people.coco import CocoKeypoints
from stereohg.data.people.folder import KeypointFolder
from stereohg.data.people.lsp import Lsp
from stereohg.data.people.mpii import Mpii
from stereohg.data.people.skeletons import COCO, LSP, MPII, Skeleton
from stereohg.models import KeypointHourglass
from stereohg.pose.decoding import decode
from stereohg.pose.evaluation import evaluate_keypoints, evaluate_share, join
from stereohg.pose.keypoints import Keypoints
from stereohg.pose.overlay import LEFT, RIGHT, draw_keypoints
from stereohg.pose.prediction import KeypointPredictor, predict_keypoints
from tests import pose_trees as trees

DOTS = np.array([[[60.25, 50.5], [90, 40], [75, 70.75]], [[210, 110.5], [180.5, 100], [200, 141]]])
"""Of two people: red, green and blue, x and y."""
BOXES = [[40, 20, 70, 70], [170, 85, 55, 75]]


class DotFinder(KeypointHourglass):
    """Heatmaps of the crop's red, green and blue; a prediction is right when all geometry around it is."""

    def __init__(self):
        super().__init__(1, 1, 3)
        self.card = {"normalisation": {"mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]}}
        self.sizes = []

    def __deepcopy__(self, memo):
        return self  # its sizes are asked of it

    def forward(self, image):
        assert image.shape[2] % 64 == 0 == image.shape[3] % 64
        self.sizes.append(tuple(image.shape[2:]))
        return [F.avg_pool2d(image + 0.5, 4)]


def dotted(height: int = 180, width: int = 260, deviation: float = 4) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    image = np.zeros((height, width, 3), np.float32)
    for person in DOTS:
        for channel, (u, v) in enumerate(person):
            image[..., channel] += np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * deviation**2))
    return image.clip(0, 1)


@pytest.fixture(scope="module")
def finder() -> DotFinder:
    return DotFinder()


# --- in Python ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(256, 256), (128, 192), (100, 136)])
def test_keypoints_come_back_into_the_picture(finder, size):
    finder.sizes.clear()
    found = predict_keypoints(dotted(), finder, BOXES, size=size)
    np.testing.assert_allclose(found.keypoints, DOTS, atol=0.15)
    assert found.keypoints.dtype == np.float32 and (found.scores > 0.5).all() and (found.scores <= 1.1).all()
    np.testing.assert_array_equal(found.boxes, BOXES)
    assert finder.sizes == [tuple(-(-side // 64) * 64 for side in size)]


def test_the_whole_picture_is_the_box_where_none_is_given(finder, tmp_path):
    alone = dotted()[:, :130]
    found = predict_keypoints(alone, finder)
    np.testing.assert_allclose(found.keypoints, DOTS[:1], atol=0.15)
    np.testing.assert_array_equal(found.boxes, [[0, 0, 130, 180]])
    Image.fromarray(np.round(255 * alone).astype(np.uint8)).save(tmp_path / "a.png")
    again = predict_keypoints(tmp_path / "a.png", finder)
    np.testing.assert_allclose(again.keypoints, found.keypoints, atol=0.05)


def test_a_photograph_is_turned_upright(finder, tmp_path):
    """As phones store it: lying on its left side, and EXIF says to turn it clockwise."""
    exif = Image.Exif()
    exif[274] = 6
    seen = np.round(255 * dotted()).astype(np.uint8)
    Image.fromarray(np.rot90(seen)).save(tmp_path / "a.png", exif=exif)
    found = predict_keypoints(tmp_path / "a.png", finder, BOXES)
    np.testing.assert_allclose(found.keypoints, DOTS, atol=0.15)
    np.testing.assert_array_equal(found.draw(tmp_path / "a.png", least_score=2), seen)


def test_decodings_and_the_published_way(finder):
    errors = {}
    for options in ({"decoding": "dark"}, {"decoding": "quarter"}, {"decoding": "argmax"}, {"published": True}):
        found = predict_keypoints(dotted(), finder, BOXES, **options).keypoints
        errors[str(*options.values())] = np.abs(found - DOTS).max()
    assert errors["dark"] < 0.1 < errors["quarter"] < 0.5 and errors["argmax"] < 0.8 and errors["True"] < 2
    assert (found == np.round(found)).all()


def test_flip_takes_the_mean_and_exchanges_the_sides():
    class Leaning(DotFinder):
        """Always half a cell too far to the right, in the mirrored picture too; its first two change places there."""

        def forward(self, image):
            (heatmaps,) = super().forward(image)
            shifted = (heatmaps + heatmaps.roll(1, 3)) / 2
            self.calls += 1
            return [shifted if self.calls == 1 else shifted[:, [1, 0, 2]]]

    model = Leaning()
    skeleton = Skeleton("dots", ("right", "left", "middle"), ((0, 1),))
    model.calls = 0
    plain = KeypointPredictor(model, skeleton=skeleton)(dotted(), BOXES[:1]).keypoints
    cell = 4 * 1.25 * 70 / 256
    np.testing.assert_allclose(plain[0] - DOTS[0], np.tile([cell / 2, 0], (3, 1)), atol=0.1)
    model.calls = 0
    both = KeypointPredictor(model, skeleton=skeleton, flip=True)(dotted(), BOXES[:1])
    np.testing.assert_allclose(both.keypoints[0], DOTS[0], atol=0.1)
    model.calls = 0
    one = KeypointPredictor(model, skeleton=skeleton)(dotted(), BOXES[:1])
    # a peak and its double are as far apart as a mean and a sum; smearing it to both sides costs less
    assert (both.scores < 1.2 * one.scores).all() and (both.scores > 0.5 * one.scores).all()


def test_keypoints_of_low_scores_are_not_drawn():
    found = Keypoints(
        np.array([[[10.0, 10], [30, 30]]]), np.array([[0.2, 0.6]]), np.zeros((1, 4)), Skeleton("two", ("a", "b"))
    )
    black = np.zeros((40, 40, 3), np.uint8)
    for least, first, second in ((0.0, True, True), (0.2, False, True), (0.6, False, False)):
        drawn = found.draw(black, least).any(2)
        assert (drawn[:20, :20].any(), drawn[20:, 20:].any()) == (first, second)


def test_batches_are_a_matter_of_speed(finder):
    boxes = BOXES * 3
    one, all_at_once = (KeypointPredictor(finder, batch_size=size)(dotted(), boxes) for size in (1, 6))
    np.testing.assert_allclose(one.keypoints, all_at_once.keypoints, atol=1e-4)
    nobody = KeypointPredictor(finder)(dotted(), [])
    assert len(nobody) == 0 and nobody.keypoints.shape == (0, 3, 2) and nobody.coco_results(1) == []


def test_the_skeleton_and_the_mean_are_the_networks_own(tmp_path):
    for count, skeleton in ((16, MPII), (17, COCO), (14, LSP)):
        assert KeypointPredictor(KeypointHourglass(1, 1, count)).skeleton is skeleton
    model = stereohg.create_model("keypoint_hourglass", num_stacks=1, num_keypoints=17)
    stereohg.save_published(model, tmp_path / "coco.pth.tar")
    predictor = KeypointPredictor(tmp_path / "coco.pth.tar")
    assert predictor.normalisation == {"mean": list(COCO_MEAN), "std": [1, 1, 1]}
    own = Skeleton.from_names("hand", [f"right_{i}" for i in range(7)] + [f"left_{i}" for i in range(7)])
    model = stereohg.create_model("keypoint_hourglass", num_stacks=1, num_keypoints=14)
    stereohg.save_model(model, tmp_path / "hand.safetensors", {"skeleton": dataclasses.asdict(own)})
    assert KeypointPredictor(tmp_path / "hand.safetensors", flip=True).skeleton == own


def test_a_real_network_in_both_precisions():
    torch.manual_seed(0)
    model = stereohg.create_model("keypoint_hourglass", num_stacks=2)
    image = np.random.default_rng(0).random((90, 70, 3)).astype(np.float32)
    full, half = (
        KeypointPredictor(model, precision=p, size=(64, 64), flip=True)(image) for p in ("float32", "bfloat16")
    )
    assert full.keypoints.shape == (1, 16, 2) and np.isfinite(full.keypoints).all()
    np.testing.assert_allclose(full.scores, half.scores, atol=0.1)
    again = KeypointPredictor(model, size=(64, 64)).forward(torch.zeros(2, 3, 64, 80))
    assert again.shape == (2, 16, 16, 20) and again.dtype == torch.float32


@pytest.mark.parametrize(
    "options, message",
    [
        ({"size": (250, 250)}, r"size is \(250, 250\); it is height and width of the crop, both multiples of 4"),
        ({"size": (128, 256), "published": True}, "the published crop is square"),
        ({"decoding": "dark", "published": True}, "decoding is 'dark', and the published one 'quarter'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"flip": True}, "skeleton unknown has no flip pairs, which flip needs; give skeleton="),
        ({"skeleton": MPII}, "the network has 3 keypoints, and skeleton mpii 16"),
        ({"precision": "half"}, "precision is 'half'"),
    ],
)
def test_predictor_errors(finder, options, message):
    with pytest.raises(ValueError, match=message):
        KeypointPredictor(finder, **options)


@pytest.mark.parametrize(
    "boxes, message",
    [
        ([1, 2, 3, 4], r"boxes are \(4,\); \(P,4\) was expected"),
        ([[1, 2, 0, 4]], "box 0 is .* width and height must be positive"),
        ([[1, 2, 3, 4], [np.nan, 2, 3, 4]], "box 1 is .* width and height must be positive"),
        ([[260, 2, 3, 4]], r"box 0, \[260.0, 2.0, 3.0, 4.0\], is outside the picture of 260x180"),
    ],
)
def test_box_errors(finder, boxes, message):
    with pytest.raises(ValueError, match=message):
        predict_keypoints(dotted(), finder, boxes)


def test_no_keypoint_network():
    with pytest.raises(ValueError, match="PSMNet is no keypoint network; make or load a keypoint_hourglass"):
        KeypointPredictor(stereohg.create_model("psmnet"))


# --- what becomes of it ---------------------------------------------------------------------------------------------


def test_results_in_cocos_form():
    points, scores = np.array([[[1.23456, 2], [3, 4]]], np.float32), np.array([[0.5, 1]], np.float32)
    found = Keypoints(points, scores, np.array([[0, 1, 2, 3]], np.float32), Skeleton("s", ("a", "b")))
    (result,) = found.coco_results(139)
    assert (
        result["keypoints"] == [1.235, 2, 0.5, 3, 4, 1] and result["score"] == 0.75 and result["bbox"] == [0, 1, 2, 3]
    )
    assert (result["image_id"], result["category_id"]) == (139, 1)


def test_overlay():
    skeleton = Skeleton("s", ("right", "left", "nose"), ((0, 1),), ((0, 2), (1, 2)))
    points = np.array([[[20, 50], [80, 50], [50, 20]]], float)
    image = np.zeros((100, 100, 3), np.uint8)
    picture = draw_keypoints(image, points, np.ones((1, 3), bool), skeleton)
    assert tuple(picture[50, 20]) == RIGHT and tuple(picture[50, 80]) == LEFT and not image.any()
    assert picture[35, 35].any() and picture[35, 65].any()
    hidden = draw_keypoints(image, points, np.array([[True, False, True]]), skeleton)
    assert not hidden[35, 65].any() and not hidden[50, 80].any() and hidden[35, 35].any()
    for lost in (np.nan, np.inf, 1e9, -1e9):
        points[0, 1] = lost
        np.testing.assert_array_equal(draw_keypoints(image, points, np.ones((1, 3), bool), skeleton), hidden)
    with pytest.raises(ValueError, match=r"keypoints are \(1, 3, 2\) and shown \(1, 2\); \(P,3,2\) and \(P,3\)"):
        draw_keypoints(image, points, np.ones((1, 2), bool), skeleton)


# --- evaluation -----------------------------------------------------------------------------------------------------


class Knowing(KeypointPredictor):
    """Answers with the truth, in the order of asking, moved by so many pixels."""

    def __init__(self, dataset, shift: float = 0.0, batch_size: int = 2):
        super().__init__(
            KeypointHourglass(1, 1, len(dataset.skeleton)), skeleton=dataset.skeleton, batch_size=batch_size
        )
        self.answers = [person.keypoints + np.float32([shift, 0]) for person in dataset.people]

    def locate(self, images, windows):
        assert len(images) == len(windows) <= self.batch_size
        answers, self.answers = self.answers[: len(images)], self.answers[len(images) :]
        return np.stack(answers), np.ones((len(images), len(self.skeleton)), np.float32)


def test_pckh_of_a_set(tmp_path):
    dataset = Mpii(trees.mpii(tmp_path), "trainval")  # head boxes of a diagonal of 50: a unit of 30 pixels
    for shift, mean in ((0, 100), (14.9, 100), (15.1, 0)):
        summary = evaluate_keypoints(Knowing(dataset, shift), dataset).pck("pckh")
        assert summary["mean"] == mean and summary["people"] == 3 and summary["without_unit"] == 0
    assert summary["instances"] == 3 * 14 - 2
    with pytest.raises(ValueError, match="there is no measure 'pcp' of PCK; known are pckh, torso, person"):
        evaluate_keypoints(Knowing(dataset), dataset).pck("pcp")


def test_pck_of_torso_and_of_person(tmp_path):
    dataset = Lsp(trees.lsp(tmp_path / "lsp"), "test")
    dataset.people = dataset.people[:1]
    torso = np.linalg.norm(np.subtract(*dataset.people[0].keypoints[[9, 2]]))
    for share, mean in ((0.19, 100), (0.21, 0)):
        assert evaluate_keypoints(Knowing(dataset, share * torso), dataset).pck("torso")["mean"] == mean
    own = KeypointFolder(trees.own(tmp_path / "own"))
    own.people[0] = dataclasses.replace(own.people[0], head_size=12.5)
    found = evaluate_keypoints(Knowing(own, 7.9), own)
    assert found.pck("person")["keypoints"]["right_hand"] == 100  # a box of 80 pixels
    assert found.pck("pckh")["without_unit"] == 1
    with pytest.raises(ValueError, match="skeleton keypoints has no torso"):
        found.pck("torso")


def test_oks_of_a_set(tmp_path):
    dataset = CocoKeypoints(trees.coco(tmp_path))
    seen = []
    found = evaluate_keypoints(Knowing(dataset), dataset, on_person=lambda: seen.append(1))
    assert found.oks(dataset)["AP"] == 1 and len(seen) == 3
    boxes = [result["bbox"] for result in found.coco_results()]
    assert boxes[0] == [10, -5, 120, 120]  # the square about the annotated box


def test_who_cannot_be_read_is_named(tmp_path):
    root = trees.coco(tmp_path)
    (root / "val2017/000000000139.jpg").unlink()
    dataset = CocoKeypoints(root, on_error="skip")
    found = evaluate_keypoints(Knowing(dataset), dataset)
    assert len(found.people) == 2 and len(found.skipped) == 1 and found.skipped[0].startswith("139_1: ")
    (root / "val2017/000000000285.jpg").unlink()
    with pytest.raises(ValueError, match="nobody of 3 can be read: 139_1: .*139.jpg does not exist"):
        evaluate_keypoints(Knowing(dataset), dataset)
    with pytest.raises(ValueError, match="the network has the keypoints of mpii and the set those of coco"):
        evaluate_keypoints(KeypointPredictor(KeypointHourglass(1, 1, 16)), dataset)


def test_shares_come_to_the_whole(tmp_path):
    """Of three people the first process has two, the second one, and a third nobody."""
    dataset = CocoKeypoints(trees.coco(tmp_path))
    whole = evaluate_keypoints(Knowing(dataset, 8), dataset)
    shares = []
    for indices in (range(0, 3, 2), range(1, 3, 2), range(3, 3)):
        knowing = Knowing(dataset, 8)
        knowing.answers = [knowing.answers[index] for index in indices]
        shares.append(evaluate_share(knowing, dataset, indices))
    assert [share.keypoints.shape for share in shares] == [(2, 17, 2), (1, 17, 2), (0, 17, 2)]
    together = join(shares)
    assert [person.name for person in together.people] == ["139_1", "285_2", "285_3"]  # in the set's order
    np.testing.assert_array_equal(together.keypoints, whole.keypoints)
    assert together.places == whole.places == [0, 1, 2]
    assert together.oks(dataset) == whole.oks(dataset) and 0 < together.oks(dataset)["AP"] < 1


def test_a_broken_annotation_is_told_by_one_share(tmp_path):
    root = trees.coco(tmp_path)
    path = root / "annotations/person_keypoints_val2017.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["bbox"] = [0, 0, 0, 5]
    path.write_text(json.dumps(document))
    dataset = CocoKeypoints(root, on_error="skip")
    shares = [evaluate_share(Knowing(dataset), dataset, range(rank, 2, 2)) for rank in (0, 1)]
    assert [len(share.skipped) for share in shares] == [1, 0]
    assert join(shares).skipped == dataset.problems
    (root / "val2017/000000000285.jpg").unlink()
    with pytest.raises(ValueError, match="nobody of 3 can be read: annotation 1 of 000000000139.jpg has the box"):
        join([evaluate_share(Knowing(dataset), dataset, range(rank, 2, 2)) for rank in (0, 1)])


# --- on the command line --------------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path) -> dict[int, str]:
    torch.manual_seed(0)
    paths = {}
    for count in (3, 16, 17):
        model = stereohg.create_model("keypoint_hourglass", num_stacks=1, num_keypoints=count)
        paths[count] = str(tmp_path / f"{count}.safetensors")
        stereohg.save_model(model, paths[count])
    return paths


def test_predict_command(tmp_path, weights, capsys):
    folder, output = tmp_path / "in", tmp_path / "out"
    trees.save_pictures(folder, "000000000139.jpg", "b.png", "c.png")
    (folder / "broken.png").write_bytes(b"no picture")
    lines = ["139,1,2,30,40", "139,50,2,30,40,0.9", "139,5,2,30,40,0.001", "b.png,0,0,20,20", "broken.png,0,0,1,1"]
    (tmp_path / "boxes.csv").write_text("\n".join(["image,x,y,width,height,score", *lines]))
    options = ["--model", weights[16], "--size", "64", "--boxes", str(tmp_path / "boxes.csv")]
    assert main(["pose", "predict", str(folder), "-o", str(output), *options]) == 1
    told = capsys.readouterr().out
    assert (
        "3 people in 2 pictures" in told
        and "c.png: no boxes in" in told
        and "of scores from" not in told  # there are none of any
        and "failed: broken.png: " in told
    )
    results = json.loads((output / "keypoints.json").read_text())
    assert [result["image_id"] for result in results] == [139, 139, "b"] and len(results[0]["keypoints"]) == 48
    with (output / "keypoints.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["000000000139.jpg"] * 2 + ["b.png"] and rows[1]["person"] == "2"
    assert float(rows[1]["head_top_x"]) == pytest.approx(results[1]["keypoints"][3 * 9], abs=1e-3)
    assert sorted(p.name for p in output.glob("*.png")) == ["000000000139_keypoints.png", "b_keypoints.png"]


def test_predict_command_overwrites_no_picture(tmp_path, weights, capsys):
    trees.save_pictures(tmp_path / "in", "a.png")
    (tmp_path / "in" / "._a.jpg").write_bytes(b"what a Mac leaves")
    command = ["pose", "predict", str(tmp_path / "in"), "-o", str(tmp_path / "in"), "--model", weights[3]]
    command += ["--size", "64"]
    assert main(command) == 0 and "1 people in 1 pictures" in capsys.readouterr().out
    assert main(command) == 1 and "a_keypoints.png is read, and would be overwritten" in capsys.readouterr().err
    assert not (tmp_path / "in" / "a_keypoints_keypoints.png").exists()


def test_an_output_that_cannot_be_is_told_before_the_work(tmp_path, weights, capsys, monkeypatch):
    monkeypatch.setattr("stereohg.commands.pose.evaluate_keypoints", lambda *_, **__: pytest.fail("hours of work"))
    (tmp_path / "out").touch()
    options = ["--data", "folder", "--model", weights[3], "-o", str(tmp_path / "out")]
    assert main(["pose", "evaluate", str(trees.own(tmp_path / "set")), *options]) == 1
    assert "out cannot take the output (File exists); give another folder" in capsys.readouterr().err


def test_predict_command_for_one_picture(tmp_path, weights, capsys):
    trees.save_pictures(tmp_path, "a.png")
    options = ["--model", weights[3], "--size", "64"]
    assert main(["pose", "predict", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), *options]) == 0
    assert "1 people in 1 pictures" in capsys.readouterr().out
    for arguments, message in (
        (["predict", "none.png", "-o", "out", *options], "none.png: no such picture or folder"),
        (["predict", str(tmp_path / "out"), "-o", str(tmp_path), "--boxes", "b.csv", *options], "b.csv does not exist"),
        (["predict", str(tmp_path / "a.png"), *options], "--output is needed"),
        (["predict", str(tmp_path / "a.png"), "-o", "out"], "--model is needed"),
        (["evaluate", str(tmp_path), *options], "--data says which set"),
    ):
        assert main(["pose", *arguments]) == 1
        assert message in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["pose", "predict", str(tmp_path / "empty"), "-o", str(tmp_path), *options]) == 1
    trees.save_pictures(tmp_path, "a.jpg")
    assert main(["pose", "predict", str(tmp_path), "-o", str(tmp_path), *options]) == 1
    assert "two pictures named 'a'" in capsys.readouterr().err
    trees.save_pictures(tmp_path / "numbers", "0007.jpg", "7.jpg")
    assert main(["pose", "predict", str(tmp_path / "numbers"), "-o", str(tmp_path / "out"), *options]) == 1
    assert "two pictures of the number 7, in COCO's form" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "data, tree, count, told, measure",
    [
        ("mpii", trees.mpii, 16, "PCKh at 0.5", "pckh"),
        ("mpii", trees.mpii_json, 16, "PCKh at 0.5", "pckh"),
        ("coco", trees.coco, 17, "object keypoint similarity", "oks"),
        ("folder", trees.own, 3, "PCK of the person at 0.1", "person"),
    ],
)
def test_evaluate_command(tmp_path, weights, capsys, data, tree, count, told, measure):
    root = tree(tmp_path / "set")
    options = ["--data", data, "--model", weights[count], "--size", "64", "-o", str(tmp_path / "out")]
    assert main(["pose", "evaluate", str(root), *options]) == 0
    out = capsys.readouterr().out
    assert told in out and "people, 0 skipped" in out
    document = json.loads((tmp_path / "out/metrics.json").read_text())
    assert document["data"] == data and document["measure"] == measure and document["skipped"] == []
    shown = {**document, **document.get("groups", {})}
    for name in ("AP", "AR75") if measure == "oks" else (*document["groups"], "mean", "pooled"):
        value = "" if shown[name] is None else f"{shown[name]:.{3 if measure == 'oks' else 2}f}"
        assert f"{name} {value}".strip() in " ".join(out.split())
    assert len(json.loads((tmp_path / "out/keypoints.json").read_text())) >= 1


def test_evaluate_command_on_a_set_in_cocos_form(tmp_path, weights, capsys):
    root = trees.coco(tmp_path / "set")
    path = root / "annotations/person_keypoints_val2017.json"
    document = json.loads(path.read_text())
    document["categories"] = [{"id": 1, "name": "hand", "keypoints": ["left_tip", "right_tip", "root"]}]
    for annotation in document["annotations"]:
        annotation["keypoints"] = annotation["keypoints"][6:15]
    path.write_text(json.dumps(document))
    options = ["--data", "coco", "--model", weights[3], "--size", "64", "-o", str(tmp_path / "out")]
    assert main(["pose", "evaluate", str(root), *options]) == 0
    assert "PCK of the person" in capsys.readouterr().out


def test_evaluate_command_tells_a_network_of_other_keypoints(tmp_path, weights, capsys):
    """Of the same number and the same set's name, left and right exchanged."""
    root = trees.own(tmp_path / "set")
    learnt = Skeleton.from_names("keypoints", ("nose", "right_hand", "left_hand"))
    card = {"skeleton": dataclasses.asdict(learnt)}
    stereohg.save_model(stereohg.load_model(weights[3]), tmp_path / "own.safetensors", card)
    options = ["--data", "folder", "--model", str(tmp_path / "own.safetensors"), "--size", "64"]
    assert main(["pose", "evaluate", str(root), *options]) == 1
    assert "the network's are nose, right_hand, left_hand, and the set's nose, left_hand" in capsys.readouterr().err


def test_evaluate_command_on_lsp_with_a_network_of_mpiis_keypoints(tmp_path, weights, capsys):
    root = trees.lsp(tmp_path / "set", 1001)
    options = ["--data", "lsp", "--model", weights[16], "--size", "64"]
    assert main(["pose", "evaluate", str(root), *options]) == 0
    assert "PCK of the torso at 0.2" in capsys.readouterr().out
    extended = trees.lsp_extended(tmp_path / "extended")
    assert main(["pose", "evaluate", str(extended), "--data", "lsp_extended", *options[2:]]) == 0
    assert "3 people, 0 skipped" in capsys.readouterr().out
    assert main(["pose", "evaluate", str(root), *options[:2], "--model", weights[17]]) == 1
    assert "the network has 17 keypoints, and skeleton lsp 14" in capsys.readouterr().err


def test_crops_are_as_large_as_those_of_the_training():
    """A card of another form, or of none, leaves pytorch-pose's 256."""
    model = KeypointHourglass(num_stacks=1, num_keypoints=3)
    for training, side in (({"settings": {"size": 64}}, 64), ({}, 256), ("in words", 256)):
        model.card = {"training": training}
        assert KeypointPredictor(model).size == (side, side)
        assert KeypointPredictor(model, size=(128, 128)).size == (128, 128)


def test_peaks_are_decoded_as_wide_as_they_were_learnt(monkeypatch):
    model = KeypointHourglass(num_stacks=1, num_keypoints=3)
    for settings, sigma in (({"targets": {"sigma": 2.5}}, 2.5), ({"targets": None}, 1), ({}, 1)):
        model.card = {"training": {"settings": settings}}
        assert KeypointPredictor(model).sigma == sigma
    seen = []
    monkeypatch.setattr("stereohg.pose.prediction.decode", lambda *given: seen.append(given[1:]) or decode(*given))
    KeypointPredictor(model, size=(64, 64), sigma=1.5)(np.zeros((64, 64, 3), np.uint8))
    assert seen == [("dark", 1.5)]


@pytest.mark.parametrize(
    "action, option, value, when",
    [
        ("evaluate", "boxes", "nothere.json", "to evaluate"),
        ("evaluate", "least_score", "0.3", "to evaluate"),
        ("evaluate", "least_box_score", "0.5", "to evaluate"),
        ("predict", "data", "coco", "to predict"),
        ("predict", "split", "val2017", "to predict"),
        ("predict", "least_box_score", "0.5", "without --boxes"),
    ],
)
def test_options_that_would_change_nothing(weights, capsys, action, option, value, when):
    assert main(["pose", action, ".", "--model", weights[16], f"--{option}", value]) == 1
    assert f"--{option} changes nothing {when}; leave it out" in " ".join(capsys.readouterr().err.split())


def test_a_prediction_of_nobody_is_no_success(tmp_path, weights, capsys):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "boxes.csv").write_text("image,x,y,width,height\nb.png,0,0,10,10\n")
    options = ["--boxes", str(tmp_path / "boxes.csv"), "--model", weights[3], "-o", str(tmp_path / "out")]
    assert main(["pose", "predict", str(tmp_path / "a.png"), *options]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "a.png: no boxes in" in told and "boxes.csv: b.png" in told
    (tmp_path / "boxes.csv").write_text("image,x,y,width,height,score\na.png,0,0,10,10,0.2\n")
    assert main(["pose", "predict", str(tmp_path / "a.png"), *options]) == 1
    assert "boxes.csv of scores from 0.3" in " ".join(capsys.readouterr().out.split())
