"""Bytes and text into a SourceFile."""

from __future__ import annotations

import ast
import codecs
import os
from pathlib import Path

import pytest

from mlrules_mcp.findings import Location
from mlrules_mcp.source import Module, SourceFile, UnreadableSource
from mlrules_mcp.source.reading import MAX_BYTES


def refused(data: bytes) -> UnreadableSource:
    with pytest.raises(UnreadableSource) as caught:
        SourceFile.from_bytes(data, "model.py")
    assert caught.value.diagnostic.path == "model.py"
    assert caught.value.diagnostic.severity == "error"
    return caught.value


def location_of_last_expression(text: str) -> Location:
    """Where the last expression statement of a text is."""
    module = Module(SourceFile.from_text(text))
    assert not module.diagnostics
    return module.location(module.nodes(ast.Expr)[-1].value)


def test_text_is_kept_as_it_was_given() -> None:
    text = "import torch\r\n\tx = 1  # é\n"
    assert SourceFile.from_text(text).text == text


@pytest.mark.parametrize("encoding", ["latin-1", "iso-8859-15", "cp1252", "shift_jis", "utf-8"])
def test_a_declared_encoding_is_used_to_read_and_to_write(encoding: str) -> None:
    text = f'# -*- coding: {encoding} -*-\nname = "{"é" if encoding != "shift_jis" else "表"}"\n'
    data = text.encode(encoding)
    source = SourceFile.from_bytes(data, "model.py")
    assert source.text == text
    assert source.encode(source.text) == data


def test_an_encoding_may_be_declared_in_the_second_line_after_a_comment() -> None:
    data = '#!/usr/bin/env python\n# vim: set fileencoding=latin-1 :\nname = "é"\n'.encode("latin-1")
    assert '"é"' in SourceFile.from_bytes(data, "model.py").text


def test_a_declaration_after_code_or_in_the_third_line_is_only_a_comment() -> None:
    for head in ("x = 1\n# coding: latin-1\n", "#\n#\n# coding: latin-1\n"):
        assert SourceFile.from_bytes(f'{head}name = "é"\n'.encode(), "model.py").encoding == "utf-8"


def test_a_declaration_is_found_between_old_macintosh_line_ends() -> None:
    data = '#!python\r# coding: latin-1\rname = "é"\r'.encode("latin-1")
    assert SourceFile.from_bytes(data, "model.py").encoding == "iso8859-1"


def test_the_heading_of_a_document_declares_no_encoding() -> None:
    assert SourceFile.from_bytes(b"# On coding: latin-1\n", "README.md").encoding == "utf-8"


def test_a_byte_order_mark_is_no_part_of_the_text_and_is_written_back() -> None:
    data = codecs.BOM_UTF8 + b"x = 1\n"
    source = SourceFile.from_bytes(data, "model.py")
    assert source.text == "x = 1\n"
    assert source.encode(source.text) == data
    snippet = SourceFile.from_text("\ufeffx = 1\n")
    assert snippet.text == "x = 1\n"
    assert snippet.encode(snippet.text) == data


def test_a_byte_order_mark_wins_over_a_declaration() -> None:
    data = codecs.BOM_UTF8 + '# coding: latin-1\nx = "é"\n'.encode()
    assert '"é"' in SourceFile.from_bytes(data, "model.py").text


@pytest.mark.parametrize("name", ["no-such-encoding", "rot13", "hex", "base64", "undefined"])
def test_an_encoding_that_is_none_for_text_is_refused_by_name(name: str) -> None:
    error = refused(f"#\n# coding: {name}\nx = 1\n".encode())
    assert error.diagnostic.code == "unknown-encoding"
    assert error.diagnostic.line == 2
    assert name in error.diagnostic.message


def test_bytes_that_are_not_in_their_encoding_are_refused_with_the_line() -> None:
    error = refused(b'import torch\nx = 1\nname = "\xe9"\n')
    assert error.diagnostic.code == "wrong-encoding"
    assert error.diagnostic.line == 3
    assert "UTF-8" in error.diagnostic.message


def test_an_encoding_that_fails_in_its_own_way_is_refused_as_wrong() -> None:
    assert refused(b"# coding: idna\nx = 'xn--\xe9'\n").diagnostic.code == "wrong-encoding"
    assert refused(b"# coding: punycode\nx = '\xe9-\xff'\n").diagnostic.code == "wrong-encoding"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_utf_16_file_is_told_from_a_binary_one(encoding: str) -> None:
    error = refused("\ufeffimport torch\n".encode(encoding))
    assert error.diagnostic.code == "wrong-encoding"
    assert "UTF-16" in error.diagnostic.message


def test_null_bytes_are_refused_as_binary() -> None:
    assert refused(b"\x7fELF\x02\x01\x01\0\0").diagnostic.code == "binary-file"
    with pytest.raises(UnreadableSource):
        SourceFile.from_text("x = '\0'")


def test_what_is_too_large_is_refused_with_its_size_before_it_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large.py"
    with large.open("wb") as file:
        file.truncate(5_000_000)
    with pytest.raises(UnreadableSource, match=r"5,000,000 bytes") as caught:
        SourceFile.from_path(large, "large.py")
    assert caught.value.diagnostic.code == "too-large"
    assert refused(b"#" * (MAX_BYTES + 1)).diagnostic.code == "too-large"
    with pytest.raises(UnreadableSource):
        SourceFile.from_text("#" * (MAX_BYTES + 1))


def test_a_file_that_is_not_there_or_is_a_folder_is_refused_with_the_reason(tmp_path: Path) -> None:
    for path in (tmp_path / "none.py", tmp_path, tmp_path / "with\0null.py"):
        with pytest.raises(UnreadableSource) as caught:
            SourceFile.from_path(path, "given.py")
        assert caught.value.diagnostic.code == "unreadable"
        assert caught.value.diagnostic.path == "given.py"
    with pytest.raises(UnreadableSource, match="directory"):
        SourceFile.from_path(tmp_path)


def test_a_file_is_reported_under_its_path_or_a_given_name(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_bytes(b"\xef\xbb\xbfx = 1\n")
    source = SourceFile.from_path(file)
    assert (source.path, source.text, source.bom, source.encoding) == (file.as_posix(), "x = 1\n", True, "utf-8")
    assert SourceFile.from_path(file, "given.py").path == "given.py"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(UnreadableSource, match="device or a pipe"):
        SourceFile.from_path(tmp_path / "pipe.py")


def test_columns_count_characters_not_bytes() -> None:
    assert location_of_last_expression('x = "é𝄞"; load(x)\n') == Location(1, 11, 1, 18)


def test_a_tab_is_one_column() -> None:
    assert location_of_last_expression("if x:\n\tload(x)\n") == Location(2, 2, 2, 9)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_counts_once(line_end: str) -> None:
    assert location_of_last_expression(line_end.join(["x = 1", "", "load(", "  x)", ""])) == Location(3, 1, 4, 5)


def test_separators_that_python_does_not_take_for_line_ends_count_as_characters() -> None:
    assert location_of_last_expression("x = '\x0b\x1c\x85\u2028'; load(x)\n") == Location(1, 13, 1, 20)
    assert location_of_last_expression("x = 1\n\x0c\nload(x)\n") == Location(3, 1, 3, 8)


def test_a_form_feed_before_code_is_one_column() -> None:
    assert location_of_last_expression("\x0cload(x)\n") == Location(1, 2, 1, 9)


def test_a_byte_order_mark_does_not_shift_columns() -> None:
    assert location_of_last_expression("\ufeffload(x)\n") == Location(1, 1, 1, 8)


@pytest.mark.parametrize(
    "snippet",
    [
        "    x = 1\n    load(x)\n",
        "\n\n    x = 1\n    load(x)",
        "    # a comment\n    load(x)\n",
        "# a comment out of line\n    load(x)\n",
        "        load(x)\n    load(x)\n",
        "\tx = 1\n\tload(x)\n",
        "    x = 1\r\n    load(x)\r\n",
        "        x = 1\n    else:\n        load(x)\n",
        "  \t  load(x)\n",
        "    x = f(\n\t1)\n    load(x)\n",
        "    x = 1\n \n    load(x)\n",
    ],
)
def test_a_snippet_cut_from_an_indented_place_parses_with_its_own_lines_and_columns(snippet: str) -> None:
    line = snippet.replace("\r\n", "\n").rstrip("\n").count("\n") + 1
    column = len(snippet.rstrip()) - len("load(x)") - max(snippet.rstrip().rfind("\n"), -1)
    assert location_of_last_expression(snippet) == Location(line, column, line, column + 7)


def test_a_snippet_that_starts_at_the_margin_is_parsed_as_it_is() -> None:
    assert SourceFile.from_text("\n# comment\nx = 1\n").shift == 0
    assert SourceFile.from_text("    \n    # only a comment\n").shift == 0


def test_the_text_of_changed_code_leaves_out_the_lines_put_in_front() -> None:
    source = SourceFile.from_text("    x = 1\n  y = 2\n")
    assert source.shift == 2
    assert source.text_of(source.code.replace("1", "3")) == "    x = 3\n  y = 2\n"
