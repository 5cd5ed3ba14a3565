"""The programs that zcframe is measured against: the same job, written as a good engineer would in each of them."""
