"""Ground floor: the words (types), the ports, the errors and the one path from question to answer.

Imports nothing else of the project.
"""
