"""`odekit new-plugin`: the templates of a plugin project and the code that fills them."""
