#!/usr/bin/python3
"""Turns the text of an interface into a C file that defines it: the daemon serves the very text that the repository has.

usage: api-interface.py INTERFACE.varlink OUTPUT.c"""
import sys

ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}


def quoted(line):
    return '"%s"' % "".join(ESCAPES.get(character, character) for character in line)


def main(source, target):
    with open(source, encoding="ascii") as file:
        lines = file.readlines()
    with open(target, "w", encoding="ascii") as file:
        file.write("extern const char api_interface_text[];\n\nconst char api_interface_text[] =\n")
        file.write("\n".join("        " + quoted(line) for line in lines) + ";\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
