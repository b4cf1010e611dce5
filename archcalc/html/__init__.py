"""HTML: fragments for notebooks, pages for pictures, and the one-page report.

`fragments` turns a result's view into tables and paragraphs, `page` puts a picture and its tables
on a page of its own, `report` makes the interactive report out of the assets beside it. Every page is whole
in itself: style, script and data are in it, and nothing is fetched.
"""
