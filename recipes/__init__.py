"""The recipes a user reads and copies, and the application that runs them."""
