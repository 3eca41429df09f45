"""Systems: controllers, SSS, links and adversary composed, with what is asked of them."""
