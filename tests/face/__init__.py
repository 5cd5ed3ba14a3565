"""The public face of zcframe as data, and the stored snapshot that it must not fall short of.

Later work may extend the face. It must not shrink it, nor change what is there. `python -m tests.face` stores the face of
the present code: review the difference that it makes, which may only add lines.
"""
