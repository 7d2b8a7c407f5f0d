"""The pure core: facts, rules, games, pairing, observation, selection, transmission and the course of a society.

Values and functions only: no input or output, no event loop, no clock, no environment, no global random state. It asks
typed questions and receives typed answers; prompts, models and files belong to the rooms above.
"""
