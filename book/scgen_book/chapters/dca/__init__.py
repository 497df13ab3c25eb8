"""What the chapter on DCA shows and says: a module a part of the page."""
