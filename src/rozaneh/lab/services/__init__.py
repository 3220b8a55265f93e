"""What runs on a world's internet: a certificate authority, a resolver, real nginx in front of the news sites."""
