"""`make demo`: the product's main job on real parts, told as a story and checked.

scenario.py is the story; stage.py builds what it plays on; witness.py and sources.py watch it independently; checks.py judges.
"""
