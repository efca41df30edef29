"""Long work that is asked for over the API: durable jobs and the processes that do them."""
