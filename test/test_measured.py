"""The page of measured numbers says what the result files say."""

from pathlib import Path

from tasktp_ros.evaluation.tables import page

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_is_made_from_the_results():
    assert (ROOT / "docs" / "measured.md").read_text() == page(ROOT / "results")


def test_the_office_walk_lost_nothing():
    text = page(ROOT / "results")
    assert "373 frames sent in lock step, 373 results, 0 lost, 0 dropped, order kept, headers equal" in text
