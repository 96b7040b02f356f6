"""Arguments put into calls and taken out, in the layout that the others have."""

from __future__ import annotations

import libcst as cst

_SPACE = cst.SimpleWhitespace(" ")
_NOTHING = cst.SimpleWhitespace("")


def with_argument(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    """A call with the keyword argument `name=value`, in the place of the one it may have."""
    arguments = list(call.args)
    for index, argument in enumerate(arguments):
        if argument.keyword is not None and argument.keyword.value == name:
            arguments[index] = argument.with_changes(value=value)
            return call.with_changes(args=arguments)
    new = cst.Arg(value, keyword=cst.Name(name), equal=cst.AssignEqual(_NOTHING, _NOTHING))
    place = next((index for index, argument in enumerate(arguments) if argument.star == "**"), len(arguments))
    if place < len(arguments):
        before = _without_comment(_space_before(call, place))
        arguments.insert(place, new.with_changes(comma=_comma(_SPACE if before.empty else before)))
    elif arguments:
        arguments[-1:] = _followed_by(_bracketed(arguments[-1]), new, _space_before(call, place - 1))
    else:
        arguments.append(new)
    return call.with_changes(args=arguments)


def without_argument(call: cst.Call, wanted: int | str) -> cst.Call:
    """A call without an argument: the one at a position, from 0, or with a keyword."""
    arguments = list(call.args)
    for index, argument in enumerate(arguments):
        if argument.keyword.value == wanted if argument.keyword is not None else index == wanted:
            break
    else:
        return call
    del arguments[index]
    if index and index == len(arguments):
        arguments[-1] = _closing(arguments[-1], argument)
    elif not arguments:
        call = call.with_changes(whitespace_before_args=_NOTHING)
    return call.with_changes(args=arguments)


def _followed_by(last: cst.Arg, new: cst.Arg, before: cst.BaseParenthesizableWhitespace) -> list[cst.Arg]:
    """The last argument of a call, and a new one behind it.

    Args:
        before: the whitespace before the last argument; the new one gets the same.
    """
    with_trailing_comma = isinstance(last.comma, cst.Comma)
    closing = last.comma.whitespace_after if isinstance(last.comma, cst.Comma) else last.whitespace_after_arg
    between = _without_comment(before) if _breaks_line(before) else _SPACE
    if _breaks_line(closing) and _breaks_line(before):
        # One argument a line: a comment stays with the argument it follows.
        between, closing = _with_comment_of(before, closing), _without_comment(closing)
    last = last.with_changes(comma=_comma(between), whitespace_after_arg=_NOTHING)
    if with_trailing_comma:
        return [last, new.with_changes(comma=_comma(closing))]
    return [last, new.with_changes(whitespace_after_arg=closing)]


def _closing(last: cst.Arg, removed: cst.Arg) -> cst.Arg:
    """An argument that becomes the last of its call, closed as the removed one behind it was."""
    behind = last.comma.whitespace_after if isinstance(last.comma, cst.Comma) else _NOTHING
    if isinstance(removed.comma, cst.Comma):
        return last.with_changes(comma=_comma(_with_comment_of(removed.comma.whitespace_after, behind)))
    closing = _with_comment_of(removed.whitespace_after_arg, behind)
    return last.with_changes(comma=cst.MaybeSentinel.DEFAULT, whitespace_after_arg=closing)


def _bracketed(argument: cst.Arg) -> cst.Arg:
    """An argument that can stand beside others: a bare generator needs brackets then."""
    if isinstance(argument.value, cst.GeneratorExp) and not argument.value.lpar:
        value = argument.value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        return argument.with_changes(value=value)
    return argument


def _space_before(call: cst.Call, index: int) -> cst.BaseParenthesizableWhitespace:
    if index == 0:
        return call.whitespace_before_args
    comma = call.args[index - 1].comma
    return comma.whitespace_after if isinstance(comma, cst.Comma) else _SPACE


def _breaks_line(whitespace: cst.BaseParenthesizableWhitespace) -> bool:
    return isinstance(whitespace, cst.ParenthesizedWhitespace)


def _without_comment(whitespace: cst.BaseParenthesizableWhitespace) -> cst.BaseParenthesizableWhitespace:
    if isinstance(whitespace, cst.ParenthesizedWhitespace):
        return whitespace.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
    return whitespace


def _with_comment_of(
    whitespace: cst.BaseParenthesizableWhitespace, other: cst.BaseParenthesizableWhitespace
) -> cst.BaseParenthesizableWhitespace:
    """Whitespace with the comments of another instead of its own; the other itself where these need its line break."""
    if not isinstance(other, cst.ParenthesizedWhitespace):
        return _without_comment(whitespace)
    if isinstance(whitespace, cst.ParenthesizedWhitespace):
        return whitespace.with_changes(first_line=other.first_line, empty_lines=other.empty_lines)
    has_comment = other.first_line.comment or any(line.comment for line in other.empty_lines)
    return other if has_comment else whitespace


def _comma(whitespace: cst.BaseParenthesizableWhitespace = _SPACE) -> cst.Comma:
    return cst.Comma(whitespace_after=whitespace)
