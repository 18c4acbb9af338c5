"""`nagayomi pretrain`: train a masked language model on texts.

This room knows texts and masks, and does not know tasks. Start with command.py.
"""
