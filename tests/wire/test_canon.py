"""One spelling per value."""

import pytest
from hypothesis import given, strategies as st

from wire import MisuseError, Reason, Refused
from wire.canon import decode, encode

values = st.recursive(
    st.none()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.text(max_size=40)
    | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20),
    max_leaves=40,
)


@pytest.mark.long
@given(values)
def test_what_is_spelt_is_read_again(value: object) -> None:
    try:
        data = encode(value)  # type: ignore[arg-type]  # the strategy makes what the type says
    except MisuseError:
        return  # nested deeper than eight
    assert decode(data) == value


@pytest.mark.parametrize("value", [1.5, True, {}, 1 << 64, "\ud800", [[[[[[[[[1]]]]]]]]]])
def test_what_has_no_spelling_is_our_own_mistake(value: object) -> None:
    with pytest.raises(MisuseError):
        encode(value)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    "data", ["", "c1", "c2", "cb0000000000000000", "80", "c70001", "9201", "0101", "a1ff", "c405"]
)
def test_what_is_no_value_of_ours_is_a_bad_payload(data: str) -> None:
    verdict = decode(bytes.fromhex(data))
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.BAD_PAYLOAD


@pytest.mark.parametrize(
    "data", ["cc01", "d001", "cd0001", "d90161", "c5000161", "dc000101", "da000161"]
)
def test_a_longer_form_is_not_canonical(data: str) -> None:
    verdict = decode(bytes.fromhex(data))
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.NOT_CANONICAL
