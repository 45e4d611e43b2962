"""Marquee's services: one package a service, all with the same rooms."""
