"""The extractor `blocks`: a page as blocks of text, a small trained model that says which of them are its content.

`segment.py` cuts a page, `features.py` measures its blocks, `model.py` judges them and chooses, `text.py` says what the
chosen ones look like as text.
"""
