// A web server as a program of Go's standard library has it: `goserver ADDR CERT KEY ROOT PATIENCE_S` (0: its own).
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	patience, err := strconv.Atoi(os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	if patience == 0 {
		// What guides to net/http advise, since its own default waits for ever.
		patience = 20
	}
	server := &http.Server{
		Handler:           http.FileServer(http.Dir(os.Args[4])),
		ReadHeaderTimeout: time.Duration(patience) * time.Second,
		IdleTimeout:       time.Duration(patience) * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	log.Fatal(server.ServeTLS(listener, os.Args[2], os.Args[3]))
}
