//! Between the listener and actix-http's dispatcher: a place for each connection, and its end when its client lets us wait.

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use actix_web::dev::{Service, ServiceFactory};
use actix_web::rt::net::TcpStream;

use super::connections::{Connections, Place, Reason};
use super::socket::{Exchange, Socket, refuse};

/// A connection gives way to others after so many requests in a row.
const MOST_TURNS: usize = 16;

type Arrived = (Socket, Option<SocketAddr>);

/// Gives connections to `http`, which answers them.
pub struct Listener<F> {
    pub http: F,
    pub connections: Arc<Connections>,
}

impl<F> ServiceFactory<TcpStream> for Listener<F>
where
    F: ServiceFactory<Arrived, Config = (), Response = ()>,
    F::Future: 'static,
{
    type Response = ();
    type Error = F::Error;
    type Config = ();
    type Service = Served<F::Service>;
    type InitError = F::InitError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Service, Self::InitError>>>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let (http, connections) = (self.http.new_service(()), Arc::clone(&self.connections));
        Box::pin(async move {
            Ok(Served {
                http: http.await?,
                connections,
            })
        })
    }
}

pub struct Served<S> {
    http: S,
    connections: Arc<Connections>,
}

impl<S: Service<Arrived, Response = ()>> Service<TcpStream> for Served<S> {
    type Response = ();
    type Error = S::Error;
    type Future = Guarded<S::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.http.poll_ready(context)
    }

    fn call(&self, tcp: TcpStream) -> Self::Future {
        let peer = tcp.peer_addr().ok();
        let Some(place) = self.connections.enter(peer.map(|peer| peer.ip())) else {
            return Guarded::Refused(tcp);
        };
        let (connections, watched) = (Arc::clone(&place.connections), Arc::clone(&place.watched));
        let (exchange, last_words) = (Exchange::new(connections, watched), Rc::default());
        let socket = Socket::new(tcp, Rc::clone(&exchange), Rc::clone(&last_words));
        Guarded::Open(Guard {
            dispatcher: Box::pin(self.http.call((socket, peer))),
            exchange,
            last_words,
            waker: None,
            place,
        })
    }
}

/// A connection until it ends, or is told to.
pub enum Guarded<D> {
    Open(Guard<D>),
    /// There is no place for it.
    Refused(TcpStream),
}

pub struct Guard<D> {
    dispatcher: Pin<Box<D>>,
    exchange: Rc<Exchange>,
    last_words: Rc<Cell<Option<Reason>>>,
    waker: Option<Waker>,
    /// Free when the dispatcher, and with it the socket, is gone.
    place: Place,
}

impl<D, E> Future for Guarded<D>
where
    D: Future<Output = Result<(), E>>,
{
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let guard = match self.get_mut() {
            Self::Open(guard) => guard,
            Self::Refused(tcp) => return refuse(tcp, context).map(Ok),
        };
        guard.wake_by(context.waker());
        for _ in 0..MOST_TURNS {
            guard.exchange.begin_turn();
            if let Poll::Ready(result) = guard.dispatcher.as_mut().poll(context) {
                return Poll::Ready(result);
            }
            if guard.exchange.is_unfinished() {
                continue;
            }
            // after the dispatcher: what came meanwhile is read, and then the order is void
            return match guard.place.order() {
                Some(reason) => {
                    guard.close(reason);
                    Poll::Ready(Ok(()))
                }
                None => Poll::Pending,
            };
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<D> Guard<D> {
    fn wake_by(&mut self, waker: &Waker) {
        if !self
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            self.waker = Some(waker.clone());
            self.place.watched.wake_by(waker);
        }
    }

    /// The socket goes with this future, which has ended.
    fn close(&self, reason: Reason) {
        self.last_words.set(Some(reason));
        tracing::debug!(?reason, "A connection is closed");
    }
}
