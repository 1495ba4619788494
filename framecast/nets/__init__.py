"""Parts of networks. They know no time, no loss and no data."""
