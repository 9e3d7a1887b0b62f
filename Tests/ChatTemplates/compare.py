"""Holds the backend's texts against llama.cpp's; says how many are the same.

usage: compare.py REFERENCE BACKEND

An answer that the assistant has begun may be continued otherwise: llama.cpp then writes empty marks of thoughts, also where
the model's template writes none before an answer, and cuts the template's text where its beginning only looks the same.
Of these it is asked that the prompt ends with the answer, and begins as llama.cpp's does.
"""

import os.path
import sys


def load(path):
    texts, name = {}, None
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            if line.startswith("=== "):
                name = line[4:].rstrip("\n")
                texts[name] = ""
            else:
                texts[name] += line
    return texts


def continues(reference, text):
    answer = "One, two, \n" if reference.endswith(", \n") else "One, two,\n"
    common = os.path.commonprefix([reference, text])
    return text.endswith(answer) and "Count to five." in common


reference, backend = load(sys.argv[1]), load(sys.argv[2])
assert reference and reference.keys() == backend.keys(), "not the same conversations"
same = [name for name in reference if reference[name] == backend[name]]
other = [name for name in reference if reference[name] != backend[name]]
wrong = [name for name in other if ", continued" not in name or not continues(reference[name], backend[name])]
for name in wrong:
    print(f"{name}\n  llama.cpp: {reference[name]!r}\n  backend:   {backend[name]!r}")
failed = sum(text == "ERROR\n" for text in reference.values())
print(f"{len(same)} of {len(reference)} texts are the same, {len(other) - len(wrong)} continue an answer otherwise, "
      f"{len(wrong)} are wrong; llama.cpp itself fails with {failed}")
sys.exit(1 if wrong else 0)
