"""Language models on servers: adapters of the clients, and what bounds a call to one."""
