"""What is typed wrongly."""

from pathlib import Path

import pytest

from stereohg.cli import main


@pytest.mark.parametrize(
    "line, told",
    [
        ("predict a b --formatt png", "unrecognized arguments: --formatt png; is it to be --format?"),
        ("train finetune -o runs --step 2", "unrecognized arguments: --step 2; is it to be --steps?"),
        ("predict a.png b.png c.png", "unrecognized arguments: c.png; put patterns in quotes"),
        ("predict a b --max_disp x", "--max_disp is x; it must be a whole number or auto"),
        ("predict a b --points_format x", "--points_format is x; it must be ply or npz"),
        ("train finetune -o runs --precision x", "--precision is x; it must be float32, bfloat16 or float16"),
        ("predict a", "stereohg predict: it wants right"),
        ("train finetune", "stereohg train: it wants output"),
    ],
)
def test_what_the_parser_cannot_take_is_told_in_a_line(line, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.png").touch()
    with pytest.raises(SystemExit) as stop:
        main(line.split())
    written = capsys.readouterr().err
    assert stop.value.code == 2 and told in written and written.count("\n") == 2


def test_a_key_of_a_recipe_that_is_unknown_is_told_with_the_one_that_is_meant(tmp_path, capsys):
    recipe = tmp_path / "own.yaml"
    recipe.write_text("batchsize: 3\nmodel: {name: hgstereo_s}\n")
    with pytest.raises(SystemExit):
        main(["train", "--recipe", str(recipe), "-o", str(tmp_path / "run")])
    assert "'batchsize'; is it to be --batch_size?" in capsys.readouterr().err
