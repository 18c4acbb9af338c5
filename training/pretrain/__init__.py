"""`nagayomi pretrain`: train a masked language model on texts.

Knows texts and masks; nothing of tasks. Start with command.py.
"""
