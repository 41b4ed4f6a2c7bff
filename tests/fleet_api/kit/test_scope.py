import pytest

from fleet_api.kit.scope import Scope

DISTRICT = "530199000000"
TOWNSHIP = "530199001000"
VILLAGE = "530199001201"


@pytest.mark.parametrize(
    ("code", "prefix"),
    [
        (None, ""),
        ("530000000000", "53"),
        ("530100000000", "5301"),
        (DISTRICT, "530199"),
        (TOWNSHIP, "530199001"),
        (VILLAGE, VILLAGE),
        # A code whose own digits end in zeros keeps them.
        ("530110000000", "530110"),
        ("530199010000", "530199010"),
        ("530199100000", "530199100"),
        ("530199001200", "530199001200"),
        ("530199001010", "530199001010"),
    ],
)
def test_prefix_is_the_code_without_the_groups_below(code, prefix):
    assert Scope.of(code).prefix == prefix


@pytest.mark.parametrize(
    "code",
    [
        "",
        "5301",
        "53019900120",
        "5301990012011",
        "53019900120x",
        "0" * 12,
        "５３０１９９００１２０１",
    ],
)
def test_a_broken_code_is_never_everything(code):
    with pytest.raises(ValueError, match="area code"):
        Scope.of(code)


@pytest.mark.parametrize(
    ("mine", "theirs", "covered"),
    [
        (None, None, True),
        (None, VILLAGE, True),
        (DISTRICT, VILLAGE, True),
        (DISTRICT, TOWNSHIP, True),
        (DISTRICT, DISTRICT, True),
        (DISTRICT, None, False),
        (DISTRICT, "530198001201", False),
        (TOWNSHIP, VILLAGE, True),
        (TOWNSHIP, DISTRICT, False),
        (TOWNSHIP, "530199002201", False),
        (VILLAGE, VILLAGE, True),
        (VILLAGE, "530199001202", False),
        ("530110000000", "530111001201", False),
    ],
)
def test_covers(mine, theirs, covered):
    assert Scope.of(mine).covers(theirs) is covered


def test_above_names_no_neighbour():
    assert Scope.of("530110001201").above == [
        "530000000000",
        "530100000000",
        "530110000000",
        "530110001000",
    ]
    assert Scope.of(None).above == []
