# SPDX-License-Identifier: MIT
#
# usage: man_page.py DOCUMENT.md VERSION PAGE.1
# The manual page of nmi from its document. Of Markdown it knows what that uses: headings, paragraphs,
# lists, indented and fenced code, tables (a row becomes a tagged paragraph, the head is left out),
# `code`, *emphasis* and links.
import re
import sys
from pathlib import Path


def plain(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return text.replace("^", "\\(ha").replace("~", "\\(ti")


def inline(text):
    out = ""
    for piece in re.split(r"(`[^`]+`|\[[^\]]+\]\([^)]+\)|\*[^*\s][^*]*\*)", text):
        if piece.startswith("`"):
            out += "\\fB" + plain(piece[1:-1]) + "\\fR"
        elif piece.startswith("["):
            out += inline(piece[1:piece.index("]")])
        elif piece.startswith("*") and len(piece) > 2:
            out += "\\fI" + plain(piece[1:-1]) + "\\fR"
        else:
            out += plain(piece)
    return out


def line(text):
    """A line of text; not a request, whatever it begins with."""
    return "\\&" + text if text.startswith((".", "'")) else text


def cells(row):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


class Page:
    def __init__(self):
        self.out = []

    def code(self, lines):
        self.out += [".PP", ".RS 4", ".nf", *(line(plain(one)) for one in lines), ".fi", ".RE"]

    def table(self, rows):
        for row in rows[2:]:
            tag, *rest = cells(row)
            self.out += [".TP", line(inline(tag)), line(inline("; ".join(filter(None, rest))) or "\\&")]
        self.out.append(".PP")

    def text(self, lines):
        joined = " ".join(one.strip() for one in lines)
        if joined.startswith("- "):
            for item in re.split(r"(?:^| )- (?=\S)", joined)[1:]:
                self.out += [".IP \\(bu 2", line(inline(item))]
        else:
            self.out += [".PP", line(inline(joined))]

    def heading(self, text):
        self.out.append('.SH "' + plain(text.upper()).replace('"', "") + '"')

    def read(self, text):
        for block in re.findall(r"```.*?```|(?:[^\n]+\n?)+", text, re.S):
            lines = [one for one in block.rstrip("\n").split("\n")]
            if block.startswith("```"):
                self.code(lines[1:-1])
            elif lines[0].startswith("#"):
                self.heading(lines[0].lstrip("# "))
                if lines[1:]:
                    self.text(lines[1:])
            elif all(one.startswith("    ") for one in lines):
                self.code([one[4:] for one in lines])
            elif lines[0].startswith("|"):
                self.table(lines)
            else:
                self.text(lines)


def page_of(document, version):
    title, _, rest = document.partition("\n")
    synopsis, _, rest = rest.strip("\n").partition("\n\n")
    page = Page()
    page.out += [f'.TH NMI 1 "" "nmircu {version}" "User Commands"', ".SH NAME",
                 "nmi \\- NMI handlers in running programs: load, swap, unload, profile, look",
                 ".SH SYNOPSIS"]
    page.code([one[4:] for one in synopsis.split("\n")])
    page.out.append(".SH DESCRIPTION")
    page.read(rest)
    return "\n".join(page.out) + "\n"


def main(document, version, page):
    Path(page).write_text(page_of(Path(document).read_text(), version))


if __name__ == "__main__":
    main(*sys.argv[1:])
