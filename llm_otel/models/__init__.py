"""Models and providers: who they are, what they can do, what they cost.

`providers` is the one table of names (LiteLLM's, the conventions', genai-prices'), `resolve` tells the
provider of a model, `catalog` holds the models with pinned facts, `registry` serves them together with the
user's own, `lookup` is what users call. All but `info` and `lookup` are plain data and load without pydantic.
"""
