searchable([...document.querySelectorAll(".event")], "events");
