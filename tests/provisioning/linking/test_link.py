"""Linked, a program does what it did, in fewer names, modules and constants."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from provisioning.application import FIRMWARE, boards, link_application
from provisioning.linking import link
from provisioning.linking.program import LinkError

ROOTS = {"start": {"run"}}


def linked(outside="", roots=ROOTS, everywhere=(), bytes_max=None, **sources):
    texts = {name.replace("__", "."): dedent(text) for name, text in sources.items()}
    chip = {"append", "items", "sleep", "time", *everywhere}
    return link(texts, roots, outside, chip, set(everywhere), bytes_max)


def ran(result, tmp_path, module="start", call="run"):
    """Return what a linked program's entry returns, run by CPython."""
    for name, text in result.modules.items():
        package = any(other.startswith(f"{name}.") for other in result.modules)
        path = tmp_path / (name.replace(".", "/") + ("/__init__.py" if package else ".py"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = set(sys.modules)
    sys.path.insert(0, str(tmp_path))
    try:
        entry = __import__(module, fromlist=[call])
        return getattr(entry, call)()
    finally:
        sys.path.remove(str(tmp_path))
        for name in set(sys.modules) - before:
            del sys.modules[name]


def test_modules_loaded_together_become_one_and_do_the_same(tmp_path):
    result = linked(
        start="""
            from part import Counter, double
            from part import LIMIT as MOST
            def run():
                counter = Counter(2)
                return [counter.advance() for _ in range(MOST)], double(21)
        """,
        part="""
            LIMIT = 3
            _STEP = LIMIT - 1
            class Counter:
                def __init__(self, first):
                    self._count = first
                def advance(self):
                    self._count += _STEP
                    return self._count
            def double(value):
                return 2 * value
        """,
    )
    assert list(result.modules) == ["start"]
    text = result.modules["start"]
    for gone in ("Counter", "double", "LIMIT", "_STEP", "_count", "advance", "import"):
        assert gone not in text
    assert ran(result, tmp_path) == ([4, 6, 8], 42)


def test_what_nothing_reaches_is_left_out(tmp_path):
    result = linked(
        start="""
            from part import used
            def run():
                return used().asked()
        """,
        part='''
            """A docstring."""
            UNUSED = "far too long to be kept in memory"
            def never():
                return UNUSED
            class Used:
                def asked(self) -> int:
                    """Another."""
                    return 1
                def unasked(self):
                    return "nobody calls this"
            def used():
                return Used()
        ''',
    )
    text = result.modules["start"]
    for gone in ("docstring", "Another", "far too long", "nobody", "int"):
        assert gone not in text
    assert ran(result, tmp_path) == 1


def test_names_that_the_world_outside_sees_stay(tmp_path):
    result = linked(
        outside="thing.visible()",
        start="""
            class Thing:
                def __init__(self):
                    self.keyed = 1
                    self.hidden_one = 2
                def visible(self):
                    return self.hidden_one
                def append(self, item):
                    return item
            def run():
                thing = Thing()
                kept = getattr(thing, "keyed"), thing.append(5), sorted([2, 1], key=abs)
                return thing.visible(), kept
        """,
    )
    text = result.modules["start"]
    assert "def visible(" in text
    assert "def append(" in text
    assert ".keyed" in text
    assert "hidden_one" not in text
    assert ran(result, tmp_path) == (2, (1, 5, [1, 2]))


def test_an_argument_that_a_call_names_keeps_one_name_everywhere(tmp_path):
    result = linked(
        start="""
            from part import mix
            def run():
                mild = mix(1, strong=False)
                return mild, mix(1, strong=True)
        """,
        part="""
            def mix(amount, strong=False):
                return [amount + inner * strong for inner in (1, 2)]
        """,
    )
    assert "strong" not in result.modules["start"]
    assert ran(result, tmp_path) == ([1, 1], [2, 3])


def test_closures_lambdas_and_locals_are_not_mixed_up(tmp_path):
    result = linked(
        start="""
            class Box:
                def __init__(self, count):
                    self.count = count
            def run():
                return outer(3), Box(4).count
            def outer(value):
                count = 10
                def inner(value, more=lambda value: value + 1):
                    return value + count + more(value)
                return inner(value + 1)
        """,
    )
    assert ran(result, tmp_path) == (19, 4)


def test_a_module_imported_inside_a_function_stays_a_module_of_its_own(tmp_path):
    result = linked(
        start="""
            from part import shared
            import sys
            def run():
                from rare import help_out
                said = help_out(shared())
                sys.modules.pop("rare", None)
                return said, "rare" in sys.modules
        """,
        part="""
            def shared():
                return 1
        """,
        rare="""
            from part import shared
            from deep import deeper
            def help_out(value):
                return value + shared() + deeper()
        """,
        deep="""
            def deeper():
                return 5
        """,
    )
    assert len(result.modules) == 2
    assert not {"part", "rare", "deep"} & set(result.modules)
    assert ran(result, tmp_path) == (7, False)


@pytest.mark.parametrize("bytes_max", [None, 0, 100, 10_000])
def test_bundles_of_any_length_do_the_same(tmp_path, bytes_max):
    result = linked(
        bytes_max=bytes_max,
        start="""
            from front import first
            from middle import Middle, second
            def run():
                from rare import seldom
                return first(1), second(2), Middle(3).value(), seldom()
        """,
        front="""
            from middle import second as on
            def first(value):
                return on(value) + 10
        """,
        middle="""
            from deep import Base
            def second(value):
                return value + 100
            class Middle(Base):
                def value(self):
                    return self.kept * 2
        """,
        deep="""
            class Base:
                def __init__(self, kept):
                    self.kept = kept
        """,
        rare="""
            from middle import second as on
            def seldom():
                return on(4)
        """,
    )
    assert ran(result, tmp_path) == (111, 102, 6, 104)
    if bytes_max == 0:
        assert len([text for text in result.modules.values() if text.strip()]) == 5


def test_what_a_module_hands_on_is_found_through_the_module(tmp_path):
    result = linked(
        bytes_max=0,
        start="""
            from pack import tools
            def run():
                return tools.parse(3)
        """,
        pack="",
        pack__tools="""
            from pack.inner import parse
            __all__ = ["parse"]
        """,
        pack__inner="""
            def parse(value):
                return value * 7
        """,
    )
    assert ran(result, tmp_path) == 21


def test_what_a_module_only_hands_on_is_loaded_where_it_is_used(tmp_path):
    result = linked(
        start="""
            from pack.front import near
            def run():
                from rare import asked
                return near(), asked()
        """,
        pack="",
        pack__front="""
            from pack.back import far, LIMIT
            def near():
                return 1
        """,
        pack__back="""
            LIMIT = 7
            def far():
                return 2
        """,
        rare="""
            from pack import front
            def asked():
                return front.far(), front.LIMIT
        """,
    )
    assert "return 2" not in result.modules["start"]
    assert ran(result, tmp_path) == (1, (2, 7))


def test_the_same_name_in_two_modules_is_two_things(tmp_path):
    result = linked(
        start="""
            from part import whole
            def _check():
                return "start"
            def run():
                return _check(), whole()
        """,
        part="""
            def _check():
                return "part"
            def whole():
                return _check()
        """,
    )
    assert ran(result, tmp_path) == ("start", "part")


def test_private_names_of_a_base_class_in_another_module_do_not_collide(tmp_path):
    result = linked(
        start="""
            from part import Base
            class Thing(Base):
                def __init__(self):
                    super().__init__()
                    self._own = 2
                def both(self):
                    return self._own, self.mine()
            def run():
                return Thing().both()
        """,
        part="""
            class Base:
                def __init__(self):
                    self._theirs = 1
                def mine(self):
                    return self._theirs
        """,
    )
    assert ran(result, tmp_path) == (2, 1)


def test_texts_of_our_own_errors_become_numbers_that_can_be_looked_up(tmp_path):
    result = linked(
        start="""
            class OurError(Exception):
                pass
            class Narrow(OurError):
                pass
            def run():
                found = []
                for kind in (0, 1, 2):
                    try:
                        fail(kind)
                    except OurError as error:
                        found.append(error.args[0])
                    except ValueError as error:
                        found.append(str(error))
                return found
            def fail(kind):
                if kind == 0:
                    raise OurError("value {} is wrong".format(kind))
                if kind == 1:
                    raise Narrow(f"value {kind} is worse")
                raise ValueError("foreign")
        """,
    )
    first, second, foreign = ran(result, tmp_path)
    assert result.texts[first] == "OurError: 'value {} is wrong'.format(kind)"
    assert result.texts[second] == "Narrow: f'value {kind} is worse'"
    assert foreign == "foreign"


def test_names_that_every_micropython_has_are_given_out_before_new_ones(tmp_path):
    everywhere = (
        # Used by the program, by the world outside, by the compiler, looked for on any object...
        "heappush", "EPERM", "const", "print", "close",
        # ... and free to be given.
        *(f"FREE_{number}" for number in range(20)), "not a name",
    )  # fmt: skip
    result = linked(
        everywhere=everywhere,
        outside='"""Docstrings mention FREE_1."""\nraise EPERM',
        start="""
            from part import Counter
            def run():
                return Counter(40).advanced(2), _sum([1, 2])
            def _sum(values):
                return heappush(values)
            def heappush(values):
                return sum(values)
        """,
        part="""
            class Counter:
                def __init__(self, first):
                    self._count = first
                def advanced(self, step):
                    return self._count + step
        """,
    )
    given = {name.split()[-1] for name in result.names}
    assert given
    assert given <= {f"FREE_{number}" for number in range(20)}
    assert ran(result, tmp_path) == (42, 3)


def test_what_linking_cannot_keep_is_refused():
    with pytest.raises(LinkError, match="as a value"):
        linked(
            start="""
                from pack import part
                def run():
                    return part
            """,
            pack="", pack__part="X = [1]",
        )  # fmt: skip
    with pytest.raises(LinkError, match="two things"):
        linked(
            start="""
                def run(kind):
                    if kind:
                        from one import Kind
                    else:
                        from two import Kind
                    return Kind
            """,
            one="class Kind: pass", two="class Kind: pass",
        )  # fmt: skip
    with pytest.raises(LinkError, match="another bundle"):
        linked(
            start="""
                from part import Base
                def run():
                    from rare import Thing
                    return Thing(), Base
            """,
            part="""
                class Base:
                    def __init__(self):
                        self._theirs = 1
            """,
            rare="""
                from part import Base
                class Thing(Base):
                    pass
            """,
        )
    with pytest.raises(LinkError, match="no missing"):
        linked(
            start="""
                from part import missing
                def run():
                    return missing
            """,
            part="",
        )
    with pytest.raises(LinkError, match="each other"):
        linked(
            start="""
                from part import there
                def here():
                    return there
                def run():
                    return here
            """,
            part="""
                from start import here
                def there():
                    return here
            """,
        )


@pytest.mark.parametrize("board", boards())
def test_the_application_links_into_few_modules_each_name_explained(board):
    result = link_application(board)
    assert len(result.modules) < 48
    assert {"device.start", "board"} <= set(result.modules)
    assert any(text.startswith("WireError") for text in result.texts)
    assert "device.terminal" in result.names.values()
    for text in result.modules.values():
        compile(text, board, "exec")


@pytest.mark.parametrize("board", boards())
def test_hardly_a_name_of_the_application_is_new_to_micropython(board):
    """Each takes heap for ever, and the table of them doubles when it is full."""
    known = (FIRMWARE / "esp32_names.json").read_text()
    given = {name.split()[-1] for name in link_application(board).names}
    assert len(given) > 200
    assert sum(f'"{name}"' not in known for name in given) < 16


def test_linking_is_the_same_every_time():
    assert link_application("virtual") == link_application("virtual")


def test_what_went_into_another_bundle_is_not_forgotten_by_its_own_name(tmp_path):
    result = linked(
        start="""
            import sys
            def forget(*names):
                for name in names:
                    sys.modules.pop(name, None)
            def run():
                from rarely.outer import say
                said = say()
                before = len(sys.modules)
                forget("rarely.outer", "rarely.inner")
                return said, before - len(sys.modules)
        """,
        rarely="",
        rarely__outer="""
            from rarely.inner import word
            def say():
                return word()
        """,
        rarely__inner="""
            def word():
                return "once"
        """,
    )
    assert "rarely" not in result.modules["start"]
    assert ran(result, tmp_path) == ("once", 1)
