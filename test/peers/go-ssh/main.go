// A peer of another make for the transport's tests: Go's x/crypto/ssh as client or server.
//
//	go-ssh client <address> <kex> <cipher> <rekey-bytes> <command> [input-bytes]
//	go-ssh login <address> <kex> <cipher> <rekey-bytes> <user> <key-file> <command> [input-bytes]
//	go-ssh server <kex> <cipher> <rekey-bytes>       prints its address; serves `source N` and `sink`
//
// It checks no host key and lets anybody in: it is for tests over loopback only.
package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// pattern reads as the bytes that the tests send.
type pattern struct{ at, end int }

func (p *pattern) Read(into []byte) (int, error) {
	if p.at == p.end {
		return 0, io.EOF
	}
	n := 0
	for n < len(into) && p.at < p.end {
		into[n] = byte(p.at*31 + p.at>>8)
		n++
		p.at++
	}
	return n, nil
}

func main() {
	log.SetFlags(0)
	switch os.Args[1] {
	case "client":
		client(os.Args[2:])
	case "login":
		login(os.Args[2:])
	case "server":
		serve(os.Args[2:])
	}
}

func config(kex, cipher, rekey string) ssh.Config {
	return ssh.Config{KeyExchanges: []string{kex}, Ciphers: []string{cipher}, RekeyThreshold: uint64(number(rekey))}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func client(args []string) {
	command(args[0], "go", config(args[1], args[2], args[3]), nil, args[4:])
}

func login(args []string) {
	bytes, err := os.ReadFile(args[5])
	if err != nil {
		log.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(bytes)
	if err != nil {
		log.Fatal(err)
	}
	methods := []ssh.AuthMethod{ssh.PublicKeys(signer)}
	command(args[0], args[4], config(args[1], args[2], args[3]), methods, args[6:])
}

func command(address, user string, algorithms ssh.Config, methods []ssh.AuthMethod, args []string) {
	connection, err := ssh.Dial("tcp", address, &ssh.ClientConfig{
		Config:          algorithms,
		User:            user,
		Auth:            methods,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		log.Fatal(err)
	}
	session, err := connection.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	if len(args) > 1 {
		session.Stdin = &pattern{0, number(args[1])}
	}
	hash := sha256.New()
	session.Stdout = hash
	if strings.HasPrefix(args[0], "sink") {
		session.Stdout = os.Stdout
	}
	if err := session.Run(args[0]); err != nil {
		log.Fatal(err)
	}
	if !strings.HasPrefix(args[0], "sink") {
		fmt.Printf("%x", hash.Sum(nil))
	}
}

func serve(args []string) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		log.Fatal(err)
	}
	server := &ssh.ServerConfig{Config: config(args[0], args[1], args[2]), NoClientAuth: true}
	server.AddHostKey(signer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	// ends with the test: it holds our standard input open
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		socket, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go session(socket, server)
	}
}

func session(socket net.Conn, server *ssh.ServerConfig) {
	connection, channels, requests, err := ssh.NewServerConn(socket, server)
	if err != nil {
		log.Print(err)
		return
	}
	defer connection.Close()
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, asked, err := offered.Accept()
		if err != nil {
			return
		}
		go run(channel, asked)
	}
}

func run(channel ssh.Channel, asked <-chan *ssh.Request) {
	for request := range asked {
		if request.Type != "exec" {
			_ = request.Reply(false, nil)
			continue
		}
		command := string(request.Payload[4 : 4+binary.BigEndian.Uint32(request.Payload)])
		_ = request.Reply(true, nil)
		go func() {
			if count, found := strings.CutPrefix(command, "source "); found {
				_, _ = io.Copy(channel, &pattern{0, number(count)})
			} else {
				hash := sha256.New()
				_, _ = io.Copy(hash, channel)
				fmt.Fprintf(channel, "%x", hash.Sum(nil))
			}
			_, _ = channel.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
			_ = channel.Close()
		}()
	}
}
