"""The documents: pages in Markdown, and the little code that takes the reference from the code."""
