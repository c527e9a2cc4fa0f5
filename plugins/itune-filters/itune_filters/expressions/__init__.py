"""Conditions over the columns of a record, as recipes write them: ``score.ifd <= 1 and words(response) >= 3``.

Text is cut into tokens (:mod:`~itune_filters.expressions.tokens`), these are parsed by a grammar of a dozen rules
(:mod:`~itune_filters.expressions.grammar`) into a tree of six kinds of nodes that know how to be true of a record and
to say why they are not (:mod:`~itune_filters.expressions.nodes`). Nothing is ever handed to Python to evaluate, so that
there is nothing to reach: no attribute, call, import, loop or power exists in the language.
"""
