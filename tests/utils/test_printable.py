import pytest

from ood_bench.utils.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ü, 猫, a b\u00a0c", "plain, ü, 猫, a b\u00a0c"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\rb\tc\nd", "a\\rb\\tc\nd"),
        ("\x9b31m \u202e \udce4", "\\x9b31m \\u202e \\udce4"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, shown):
    assert printable(text, keep="\n") == shown
