"""Text before the model: normalise, segment, tokenize, split into sentences, cut into windows.

Every step keeps offsets into the text as it was sent. Knows nothing of tasks, models or HTTP. Start with tokenizer.py.
"""
