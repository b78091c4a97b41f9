"""Which picture belongs to which."""

import pytest

from stereohg.data.pairs import find_pairs


@pytest.fixture
def tree(tmp_path):
    for name in ("left/b.png", "left/a.png", "right/a.jpg", "right/b.png", "left/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for scene in ("Bike", "Chess"):
        for image in ("im0.png", "im1.png"):
            (tmp_path / "scenes" / scene).mkdir(parents=True, exist_ok=True)
            (tmp_path / "scenes" / scene / image).touch()
    return tmp_path


def test_two_files(tree):
    pairs, alone = find_pairs(tree / "left" / "b.png", tree / "right" / "a.jpg")
    assert [(p.name, p.left.name, p.right.name) for p in pairs] == [("b", "b.png", "a.jpg")]
    assert alone == []


def test_two_folders_pair_by_name(tree):
    pairs, alone = find_pairs(tree / "left", tree / "right")
    assert [(p.name, p.right.name) for p in pairs] == [("a", "a.jpg"), ("b", "b.png")]
    assert alone == []


def test_patterns_pair_by_what_the_stars_stand_for(tree):
    pairs, _ = find_pairs(f"{tree}/scenes/*/im0.png", f"{tree}/scenes/*/im1.png")
    assert [(p.name, p.left.name, p.right.name) for p in pairs] == [
        ("Bike", "im0.png", "im1.png"),
        ("Chess", "im0.png", "im1.png"),
    ]


@pytest.mark.parametrize(
    "left, right, names",
    [
        ("./scenes/*/im0.png", "scenes/*/im1.png", ["Bike", "Chess"]),
        ("**/im0.png", "**/im1.png", ["scenes_Bike", "scenes_Chess"]),
        ("left/**", "right/**", ["a", "b"]),
        ("scenes/?ike/im0.png", "scenes/?ike/im1.png", ["B"]),
        ("scenes/[A-C]*/im0.png", "scenes/[A-C]*/im1.png", ["B_ike", "C_hess"]),
        ("left/*", "right/*", ["a", "b"]),
        ("left/[!]].png", "right/[!]].png", ["b"]),
        ("left/[!!].png", "right/[!!].png", ["b"]),
    ],
)
def test_every_wildcard_counts(tree, monkeypatch, left, right, names):
    monkeypatch.chdir(tree)
    assert [pair.name for pair in find_pairs(left, right)[0]] == names


def test_brackets_in_brackets(tree):
    for side in ("l", "r"):
        (tree / f"a]{side}.png").touch()
    (pair,), _ = find_pairs(f"{tree}/a[]]l.png", f"{tree}/a[]]r.png")
    assert (pair.name, pair.left.name, pair.right.name) == ("]", "a]l.png", "a]r.png")


def test_a_file_may_be_named_like_a_pattern(tree):
    odd = tree / "left" / "l[1].png"
    odd.touch()
    assert find_pairs(odd, tree / "right" / "b.png")[0][0].left == odd


def test_hidden_files_are_no_pictures(tree):
    """Which macOS leaves on sticks, and a killed process where it wrote."""
    (tree / "left" / "._a.png").touch()
    (tree / "right" / ".0123456789abcdef.png").touch()
    pairs, alone = find_pairs(tree / "left", tree / "right")
    assert len(pairs) == 2 and not alone


def test_pictures_without_a_partner_are_named(tree):
    (tree / "left" / "c.png").touch()
    (tree / "right" / "d.png").touch()
    pairs, alone = find_pairs(tree / "left", tree / "right")
    assert len(pairs) == 2
    assert "c.png: no right picture" in alone[0] and "d.png: no left picture" in alone[1]


def test_errors(tree):
    with pytest.raises(FileNotFoundError, match="nope.png: no such picture"):
        find_pairs(tree / "nope.png", tree / "left" / "a.png")
    with pytest.raises(ValueError, match="two pictures, two folders or two patterns"):
        find_pairs(tree / "left", tree / "right" / "a.jpg")
    with pytest.raises(FileNotFoundError, match="no pictures there"):
        find_pairs(tree / "scenes", tree / "right")
    (tree / "left" / "a.jpg").touch()
    with pytest.raises(ValueError, match="both named 'a'"):
        find_pairs(tree / "left", tree / "right")
    (tree / "left" / "a.jpg").unlink()
    with pytest.raises(ValueError, match="no two pictures share a name"):
        find_pairs(f"{tree}/left/*.png", f"{tree}/scenes/*/im1.png")


@pytest.mark.parametrize("side", ["left", "left/a.png", "left/*.png"])
def test_one_side_twice_is_no_pair(tree, side):
    with pytest.raises(ValueError, match="given for both sides"):
        find_pairs(f"{tree}/{side}", f"{tree}/{side}")


def test_brackets_mean_what_shells_mean(tmp_path):
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        for name in ("1a", "2b", "^d", "\\e"):
            (tmp_path / side / f"{name}.png").touch()

    def names(pattern):
        return [pair.name for pair in find_pairs(f"{tmp_path}/left/{pattern}", f"{tmp_path}/right/{pattern}")[0]]

    assert names("[^1]*.png") == ["1_a", "^_d"]  # one of the two
    assert names("[!1]*.png") == ["2_b", "\\_e", "^_d"]  # none of these
    assert names("[1-2]*.png") == ["1_a", "2_b"]
    assert names("[\\d]*.png") == ["\\_e"]
    with pytest.raises(ValueError, match=r"\[z-a\]\*.png is no pattern \(bad character range"):
        names("[z-a]*.png")
