"""A real browser as the reader's program: Chromium, headless, driven through its own DevTools protocol."""
