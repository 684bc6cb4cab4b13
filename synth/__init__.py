"""Knowledge with a known number of bits, written as text: fact tables, biographies, compact records, injection."""
