"""The kinds of subject: each module draws one family, a function (stage) -> premultiplied layer (H, W, 4)."""
