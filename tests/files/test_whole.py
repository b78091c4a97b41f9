"""Files are read and written as a whole, or not at all."""

import pytest

from stereohg.files import read_disparity, read_image, read_json, read_pfm, replacing


@pytest.mark.parametrize("read", [read_image, read_pfm, read_disparity])
def test_readers_name_a_missing_file(tmp_path, read):
    with pytest.raises(FileNotFoundError, match=r"missing\.pfm does not exist"):
        read(tmp_path / "missing.pfm")


def test_readers_tell_a_folder_from_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_image(tmp_path)


def test_read_json(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": [1, 2.5]}')  # with a byte order mark
    assert read_json(path) == {"a": [1, 2.5]}
    for broken in (b'{"a": ', b"\xff"):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="a.json is no whole JSON .*; copy or download it again"):
            read_json(path)
    with pytest.raises(FileNotFoundError, match="b.json does not exist"):
        read_json(tmp_path / "b.json")


def test_replacing_leaves_the_old_file_and_no_other_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("as before")
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".txt"
        temporary.write_text("half")
        raise RuntimeError("half way")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["as before"]


def test_replacing_refuses_a_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file in it"), replacing(tmp_path):
        pass
