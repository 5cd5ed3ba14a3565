"""The process of a run that a program asked for by `zcframe.run`: the command in all but where its words go."""
