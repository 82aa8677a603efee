"""What people do with the answers, and what they were shown: records, kept and read back.

The pipeline may import this room. Who answers, and with what, is the other rooms' business.
"""
