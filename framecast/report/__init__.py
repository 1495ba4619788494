"""Results as pictures: films, panels side by side, and figures."""
