"""The tables of the README and the guides are those of the results."""

import json

import pytest

from benchmarks import tables


def test_the_pages_say_what_was_measured():
    texts = [page.read_text() for page in tables.PAGES]
    assert [tables.filled(text) for text in texts] == texts, "run python -m benchmarks.tables"
    assert {place[1] for text in texts for place in tables.PLACE.findall(text)} == set(tables.TABLES)


def test_a_table_by_hand(tmp_path, monkeypatch):
    cost = {"seconds_median": 1.234, "peak_megabytes": 100, "times_as_quick": 2.5, "share_of_memory": 0.4}
    published = {"seconds_median": 3.0, "peak_megabytes": 250}
    forms = {"published, float32": published, "ours, float32": cost}
    results = {"inference of psmnet, 256x512, 192 levels, batch 1": forms, "answers on the Motorcycle": {}}
    (tmp_path / "networks.json").write_text(json.dumps({"results": results}))
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    expected = [
        "| | published | ours | times as quick | published | ours | share |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| inference of `psmnet`, 256x512, float32 | 3.00 s | 1.23 s | 2.50 | 250 MB | 100 MB | 40 % |",
    ]
    assert tables.networks().splitlines() == expected
    text = "before\n<!-- table: networks -->\nold\n<!-- end -->\nafter\n"
    assert tables.filled(text) == "before\n<!-- table: networks -->\n" + "\n".join(expected) + "\n<!-- end -->\nafter\n"


def test_unknown_tables_are_told():
    with pytest.raises(KeyError, match="nothing"):
        tables.filled("<!-- table: nothing -->\n<!-- end -->")
