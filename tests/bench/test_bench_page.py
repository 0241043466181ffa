"""Tables go between their markers, plots are pictures, an exponent is a slope."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench import page, plot
from bench.growth import draw, exponent, table
from bench.ours import Cost

COSTS = [("sort", n, Cost(n**1.1 / 1e6, 1.0, 30 * n, 5, n / 1e4)) for n in (10**4, 10**5, 10**6)]


@given(st.floats(0.1, 3), st.floats(1e-6, 1e3))
def test_the_exponent_of_a_power_is_the_power(power: float, factor: float) -> None:
    line = [(n, factor * n**power) for n in (10**4, 10**5, 10**6)]
    assert exponent(line) == pytest.approx(power)


def test_one_point_has_no_exponent() -> None:
    assert exponent([(10, 1.0)]) is None


def test_the_table_names_sizes_and_ends_with_the_exponent() -> None:
    lines = table(COSTS, 10**4)
    assert lines[2].startswith("| sort, 10^4 |")
    assert lines[-1].endswith("| 1.10 |")
    assert len({line.count("|") for line in lines}) == 1


def test_a_block_is_replaced_and_the_prose_stays(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- growth -->\nold\n<!-- /growth -->\nafter\n")
    for text in ("new", "newer"):
        page.replace("growth", [text], path)
    assert path.read_text() == "before\n<!-- growth -->\n\nnewer\n\n<!-- /growth -->\nafter\n"


def test_a_page_without_the_block_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("nothing here\n")
    with pytest.raises(ValueError, match="growth"):
        page.replace("growth", ["x"], path)
    assert path.read_text() == "nothing here\n"


def test_the_plot_is_a_picture_with_ink_in_every_panel(tmp_path: Path) -> None:
    draw(COSTS, tmp_path / "growth.png")
    with Image.open(tmp_path / "growth.png") as image:
        third = image.width // 3
        for i in range(3):
            colours = (
                image.crop((i * third, 0, (i + 1) * third, image.height)).convert("RGB").getcolors(1 << 16)
            )
            assert colours is not None
            assert (0x00, 0x72, 0xB2) in {colour for _, colour in colours}


def test_a_plot_of_nothing_is_still_a_picture(tmp_path: Path) -> None:
    plot.draw([plot.Panel("empty", {})], "n", tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 0


def test_the_page_has_the_blocks_that_are_written() -> None:
    text = page.PAGE.read_text()
    for block in ("growth", "wan", "engine"):
        assert f"<!-- {block} -->" in text
        assert f"<!-- /{block} -->" in text
