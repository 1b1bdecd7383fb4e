;; A guest that does what its target's first letter says, so that tests can see what the host makes of it.
;;   /e  echo the body          /t  echo the target       /b  echo the base URL
;;   /h  echo the tenant hint   /r  echo the remote address
;;   /l  loop for ever          /u  trap                  /m  take all memory, then trap
;;   /x  a status that is no HTTP status
(component
  (core module $m
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (block $roomy
        (loop $grow
          (br_if $roomy (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
          (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
          unreachable))
      (local.get $at))
    ;; The response is at 0: status, headers (none), body, log (none).
    (func $reply (param $status i32) (param $body i32) (param $length i32) (result i32)
      (i32.store (i32.const 0) (local.get $status))
      (i32.store (i32.const 4) (i32.const 0))
      (i32.store (i32.const 8) (i32.const 0))
      (i32.store (i32.const 12) (local.get $body))
      (i32.store (i32.const 16) (local.get $length))
      (i32.store (i32.const 20) (i32.const 0))
      (i32.const 0))
    ;; Replies with the string or list whose pointer and length are at $field.
    (func $echo (param $field i32) (result i32)
      (call $reply (i32.const 200) (i32.load (local.get $field)) (i32.load offset=4 (local.get $field))))
    (func (export "handle") (param $request i32) (result i32)
      (local $letter i32)
      (local.set $letter (i32.load8_u offset=1 (i32.load offset=8 (local.get $request))))
      (if (i32.eq (local.get $letter) (i32.const 0x6c)) (then (loop $ever (br $ever))))
      (if (i32.eq (local.get $letter) (i32.const 0x75)) (then unreachable))
      (if (i32.eq (local.get $letter) (i32.const 0x6d))
        (then
          (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
          unreachable))
      (if (i32.eq (local.get $letter) (i32.const 0x78))
        (then (return (call $reply (i32.const 7) (i32.const 0) (i32.const 0)))))
      (if (i32.eq (local.get $letter) (i32.const 0x74))
        (then (return (call $echo (i32.add (local.get $request) (i32.const 8))))))
      (if (i32.eq (local.get $letter) (i32.const 0x62))
        (then (return (call $echo (i32.add (local.get $request) (i32.const 32))))))
      (if (i32.eq (local.get $letter) (i32.const 0x68))
        (then (return (call $echo (i32.add (local.get $request) (i32.const 56))))))
      (if (i32.eq (local.get $letter) (i32.const 0x72))
        (then (return (call $echo (i32.add (local.get $request) (i32.const 68))))))
      (call $echo (i32.add (local.get $request) (i32.const 24)))))
  (core instance $i (instantiate $m))
  (type $header (record (field "name" string) (field "value" string)))
  (type $request (record
    (field "method" string) (field "target" string) (field "headers" (list $header)) (field "body" (list u8))
    (field "base-url" string) (field "client-certificate-subject" (option string)) (field "tenant-hint" (option string))
    (field "remote-address" (option string))))
  (type $response (record (field "status" u16) (field "headers" (list $header)) (field "body" (list u8))
    (field "log" (option string))))
  (func $handle (param "request" $request) (result $response)
    (canon lift (core func $i "handle") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  ;; An exported function may only use types that are exported beside it; this component gives them their names.
  (component $named
    (type $header0 (record (field "name" string) (field "value" string)))
    (import "header" (type $header (eq $header0)))
    (type $request0 (record
      (field "method" string) (field "target" string) (field "headers" (list $header)) (field "body" (list u8))
      (field "base-url" string) (field "client-certificate-subject" (option string)) (field "tenant-hint" (option string))
      (field "remote-address" (option string))))
    (import "request" (type $request (eq $request0)))
    (type $response0 (record (field "status" u16) (field "headers" (list $header)) (field "body" (list u8))
      (field "log" (option string))))
    (import "response" (type $response (eq $response0)))
    (import "f" (func $f (param "request" $request) (result $response)))
    (export $header1 "header" (type $header))
    (type $request1-0 (record
      (field "method" string) (field "target" string) (field "headers" (list $header1)) (field "body" (list u8))
      (field "base-url" string) (field "client-certificate-subject" (option string)) (field "tenant-hint" (option string))
      (field "remote-address" (option string))))
    (export $request1 "request" (type $request1-0))
    (type $response1-0 (record (field "status" u16) (field "headers" (list $header1)) (field "body" (list u8))
      (field "log" (option string))))
    (export $response1 "response" (type $response1-0))
    (export "handle" (func $f) (func (param "request" $request1) (result $response1))))
  (instance $handler (instantiate $named
    (with "header" (type $header)) (with "request" (type $request)) (with "response" (type $response))
    (with "f" (func $handle))))
  (export "scimwell:provider/handler@0.1.0" (instance $handler)))
