//! A name server with a script, over UDP and TCP: what stands at a name, as a test wants.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// A datagram is not larger than this; what does not fit is asked for over TCP.
const MOST_DATAGRAM: usize = 512;

/// What stands at a name.
#[derive(Debug, Clone)]
pub(crate) enum Zone {
    /// TXT records, each of some strings.
    Texts(Vec<Vec<String>>),
    /// Another name.
    Alias(String),
    /// The server fails.
    ServFail,
    /// No answer ever comes.
    Silence,
}

/// What was asked how often.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) udp: AtomicUsize,
    pub(crate) tcp: AtomicUsize,
}

/// The scripted name server; names that it does not know do not exist.
pub(crate) struct FakeDns {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Arc<Asked>,
    zones: Zones,
    _serving: JoinSet<()>,
}

type Zones = Arc<Mutex<HashMap<String, Zone>>>;

impl FakeDns {
    pub(crate) async fn new() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let (zones, asked) = (Zones::default(), Arc::<Asked>::default());
        let mut serving = JoinSet::new();
        serving.spawn(serve_udp(udp, Arc::clone(&zones), Arc::clone(&asked)));
        serving.spawn(serve_tcp(tcp, Arc::clone(&zones), Arc::clone(&asked)));
        Self { address, asked, zones, _serving: serving }
    }

    pub(crate) fn set(&self, domain: &str, zone: Zone) {
        self.zones.lock().unwrap().insert(domain.to_owned(), zone);
    }

    /// One TXT record of one string for each text.
    pub(crate) fn texts(&self, domain: &str, texts: &[&str]) {
        self.set(domain, Zone::Texts(texts.iter().map(|text| vec![(*text).to_owned()]).collect()));
    }
}

async fn serve_udp(socket: UdpSocket, zones: Zones, asked: Arc<Asked>) {
    let mut buffer = vec![0; 4096];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
        asked.udp.fetch_add(1, Ordering::SeqCst);
        let Some(mut answer) = answer(&buffer[..length], &zones) else { continue };
        let mut bytes = answer.to_vec().unwrap();
        if bytes.len() > MOST_DATAGRAM {
            answer.answers.clear();
            answer.metadata.truncation = true;
            bytes = answer.to_vec().unwrap();
        }
        socket.send_to(&bytes, client).await.unwrap();
    }
}

async fn serve_tcp(listener: TcpListener, zones: Zones, asked: Arc<Asked>) {
    let mut clients = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        clients.spawn(serve_client(stream, Arc::clone(&zones), Arc::clone(&asked)));
    }
}

async fn serve_client(mut stream: TcpStream, zones: Zones, asked: Arc<Asked>) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; usize::from(length)];
        stream.read_exact(&mut question).await.unwrap();
        asked.tcp.fetch_add(1, Ordering::SeqCst);
        let Some(answer) = answer(&question, &zones) else { continue };
        let bytes = answer.to_vec().unwrap();
        stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    }
}

fn answer(question: &[u8], zones: &Zones) -> Option<Message> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let mut answer = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    let mut name = query.name().clone();
    answer.add_query(query);
    let zones = zones.lock().unwrap();
    loop {
        let text = name.to_ascii().to_ascii_lowercase();
        match zones.get(text.trim_end_matches('.')) {
            None => answer.metadata.response_code = ResponseCode::NXDomain,
            Some(Zone::ServFail) => answer.metadata.response_code = ResponseCode::ServFail,
            Some(Zone::Silence) => return None,
            Some(Zone::Texts(records)) => {
                for strings in records {
                    let record = RData::TXT(TXT::new(strings.clone()));
                    answer.add_answer(Record::from_rdata(name.clone(), 60, record));
                }
            }
            Some(Zone::Alias(target)) => {
                let target = Name::from_ascii(format!("{target}.")).unwrap();
                let record = RData::CNAME(CNAME(target.clone()));
                answer.add_answer(Record::from_rdata(name, 60, record));
                name = target;
                continue;
            }
        }
        return Some(answer);
    }
}
